"""The NumPy executor."""

from gradlab.execute.numpy.program import NumpyProgram

__all__ = ["NumpyProgram"]
