"""Floor 4: training, from one update to a whole experiment."""

from gradlab.train.budget import InUpdates
from gradlab.train.callbacks import Callback, EarlyStopping, JSONLog, ReduceLROnPlateau, TensorBoard
from gradlab.train.config import Config
from gradlab.train.evaluate import Evaluator
from gradlab.train.experiment import Experiment
from gradlab.train.fit import fit
from gradlab.train.history import History
from gradlab.train.images import augmentations
from gradlab.train.metrics import accuracy, mean_squared_error, metrics, r_squared, top_k
from gradlab.train.prediction import Predictions, predict
from gradlab.train.progress import LiveProgress
from gradlab.train.record import Record
from gradlab.train.run import Outcome, RunFolder
from gradlab.train.sampling import sample
from gradlab.train.trainer import Trainer
from gradlab.train.training import Training

__all__ = [
    "Callback",
    "Config",
    "EarlyStopping",
    "Evaluator",
    "Experiment",
    "History",
    "InUpdates",
    "JSONLog",
    "LiveProgress",
    "Outcome",
    "Predictions",
    "Record",
    "ReduceLROnPlateau",
    "RunFolder",
    "TensorBoard",
    "Trainer",
    "Training",
    "accuracy",
    "augmentations",
    "fit",
    "mean_squared_error",
    "metrics",
    "predict",
    "r_squared",
    "sample",
    "top_k",
]
