"""Floor 2: executors of a Graph."""

from gradlab.execute.compiled import EXECUTORS, Compiled, Program, compile, program
from gradlab.execute.loop import Loop
from gradlab.execute.native.threads import thread_count
from gradlab.execute.numpy import NumpyProgram

__all__ = [
    "EXECUTORS",
    "Compiled",
    "Loop",
    "NumpyProgram",
    "Program",
    "compile",
    "program",
    "thread_count",
]
