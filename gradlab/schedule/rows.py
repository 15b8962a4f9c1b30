"""The registry of schedules: one row each, for the command line, tests and docs."""

from gradlab.registry import Registry

schedules = Registry("schedule")
