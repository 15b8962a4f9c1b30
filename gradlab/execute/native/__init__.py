"""The native executor: a compiler from Graph to machine code."""

from gradlab.execute.native.program import NativeProgram

__all__ = ["NativeProgram"]
