"""Schedules of a hyperparameter or of the batch size over the epochs of a training."""

from gradlab.schedule.anneal import Cosine, CosineRestarts, Cyclic, Linear, OneCycle, Polynomial
from gradlab.schedule.base import Product, Schedule
from gradlab.schedule.batch import LinearGrowth, Reciprocal, StepGrowth
from gradlab.schedule.compose import Sequence, Warmup
from gradlab.schedule.decay import Constant, Exponential, InverseTime, MultiStep, Step
from gradlab.schedule.rows import schedules
from gradlab.schedule.text import build
from gradlab.schedule.view import plot, preview

__all__ = [
    "Constant",
    "Cosine",
    "CosineRestarts",
    "Cyclic",
    "Exponential",
    "InverseTime",
    "Linear",
    "LinearGrowth",
    "MultiStep",
    "OneCycle",
    "Polynomial",
    "Product",
    "Reciprocal",
    "Schedule",
    "Sequence",
    "Step",
    "StepGrowth",
    "Warmup",
    "build",
    "plot",
    "preview",
    "schedules",
]
