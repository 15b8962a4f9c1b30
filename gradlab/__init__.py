"""gradlab: a training laboratory for neural networks, open to the eye."""

from gradlab.backprop import *  # noqa: F403
from gradlab.execute import compile
from gradlab.graph import *  # noqa: F403
