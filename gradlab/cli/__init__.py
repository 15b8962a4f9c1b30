"""Floor 7: the command line."""

from gradlab.cli.app import main

__all__ = ["main"]
