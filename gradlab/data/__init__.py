"""Arrays in, named splits out."""

from gradlab.data import sklearn_sets, toys  # noqa: F401 - they register themselves
from gradlab.data.batches import batches
from gradlab.data.dataset import Dataset, Split, for_tuning, require_role
from gradlab.data.loading import load, read
from gradlab.data.preprocess import Numeric, OneHot, Preprocess
from gradlab.data.source import Source, datasets
from gradlab.data.splits import Rows, split_rows
from gradlab.data.table import Table
from gradlab.data.targets import Labels, Values

__all__ = [
    "Dataset",
    "Labels",
    "Numeric",
    "OneHot",
    "Preprocess",
    "Rows",
    "Source",
    "Split",
    "Table",
    "Values",
    "batches",
    "datasets",
    "for_tuning",
    "load",
    "read",
    "require_role",
    "split_rows",
]
