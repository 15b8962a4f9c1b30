"""Models to and from PyTorch (extra "torch")."""

from gradlab.interop.torch.convert import from_torch, to_torch
from gradlab.interop.torch.layers import CONTAINERS, LAYERS, Layer
from gradlab.interop.torch.replay import Replay
from gradlab.interop.torch.rows import ROWS

__all__ = ["CONTAINERS", "LAYERS", "ROWS", "Layer", "Replay", "from_torch", "to_torch"]
