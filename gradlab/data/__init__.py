"""Arrays in, named splits out."""

from gradlab.data import (  # noqa: F401 - they register themselves
    cifar,
    image_folder,
    mnist,
    sklearn_sets,
    text,
    toys,
)
from gradlab.data.array_preprocess import ArrayPreprocess, restore_preprocess
from gradlab.data.arrays import ArraySource, Examples
from gradlab.data.batches import batch_runs, batch_sizes, batches
from gradlab.data.dataset import Dataset, Split, for_tuning, require_role
from gradlab.data.download import Remote, data_folder, fetch
from gradlab.data.idx import read_idx
from gradlab.data.loading import load, read
from gradlab.data.preprocess import Numeric, OneHot, Preprocess
from gradlab.data.source import Source, datasets
from gradlab.data.splits import Rows, split_rows
from gradlab.data.table import Table
from gradlab.data.targets import Labels, Values

__all__ = [
    "ArrayPreprocess",
    "ArraySource",
    "Dataset",
    "Examples",
    "Labels",
    "Numeric",
    "OneHot",
    "Preprocess",
    "Remote",
    "Rows",
    "Source",
    "Split",
    "Table",
    "Values",
    "batch_runs",
    "batch_sizes",
    "batches",
    "data_folder",
    "datasets",
    "fetch",
    "for_tuning",
    "load",
    "read",
    "read_idx",
    "require_role",
    "restore_preprocess",
    "split_rows",
]
