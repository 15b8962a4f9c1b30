"""Floor 2: executors of a Graph."""

from gradlab.execute.compiled import EXECUTORS, Compiled, Program, compile, program
from gradlab.execute.loop import Loop

__all__ = ["EXECUTORS", "Compiled", "Loop", "Program", "compile", "program"]
