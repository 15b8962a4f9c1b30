"""Floor 4: training, from one update to a whole experiment."""

from gradlab.train.callbacks import Callback, EarlyStopping, JSONLog, TensorBoard
from gradlab.train.experiment import (
    Config,
    Outcome,
    Predictions,
    predict,
    resume_experiment,
    run_experiment,
)
from gradlab.train.fit import Training, fit
from gradlab.train.history import History
from gradlab.train.metrics import accuracy, mean_squared_error, metrics, r_squared, top_k
from gradlab.train.progress import LiveProgress
from gradlab.train.run import RunFolder
from gradlab.train.trainer import Record, Trainer

__all__ = [
    "Callback",
    "Config",
    "EarlyStopping",
    "History",
    "JSONLog",
    "LiveProgress",
    "Outcome",
    "Predictions",
    "Record",
    "RunFolder",
    "TensorBoard",
    "Trainer",
    "Training",
    "accuracy",
    "fit",
    "mean_squared_error",
    "metrics",
    "predict",
    "r_squared",
    "resume_experiment",
    "run_experiment",
    "top_k",
]
