"""Floor 4: training, from one update to a whole experiment."""

from gradlab.train.callbacks import Callback, EarlyStopping, JSONLog, TensorBoard
from gradlab.train.config import Config
from gradlab.train.evaluate import Evaluator
from gradlab.train.experiment import Experiment
from gradlab.train.fit import Training, fit
from gradlab.train.history import History
from gradlab.train.metrics import accuracy, mean_squared_error, metrics, r_squared, top_k
from gradlab.train.prediction import Predictions, predict
from gradlab.train.progress import LiveProgress
from gradlab.train.record import Record
from gradlab.train.run import Outcome, RunFolder
from gradlab.train.trainer import Trainer

__all__ = [
    "Callback",
    "Config",
    "EarlyStopping",
    "Evaluator",
    "Experiment",
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
    "top_k",
]
