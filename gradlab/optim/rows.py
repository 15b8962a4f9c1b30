"""The registry of optimizers: one row each, for the command line, tests, benchmarks and docs."""

from gradlab.registry import Registry

optimizers = Registry("optimizer")
