"""Floor 6: claims about training, put to the test."""

from gradlab.studies import (  # noqa: F401 - they register themselves
    deep_relu,
    identical_weights,
    tanh_xavier,
    weight_selection_mnist,
    weight_selection_text,
)
from gradlab.studies.page import write_index, write_page
from gradlab.studies.statistics import (
    Comparison,
    Estimate,
    geometric_mean,
    mean,
    paired,
)
from gradlab.studies.study import (
    Findings,
    Picture,
    Plan,
    Report,
    Study,
    Table,
    Verdict,
    by_margin,
    by_sign,
    carry_out,
    studies,
)

__all__ = [
    "Comparison",
    "Estimate",
    "Findings",
    "Picture",
    "Plan",
    "Report",
    "Study",
    "Table",
    "Verdict",
    "by_margin",
    "by_sign",
    "carry_out",
    "geometric_mean",
    "mean",
    "paired",
    "studies",
    "write_index",
    "write_page",
]
