"""Floor 5: weights that travel. ``interop.torch`` and ``interop.onnx`` need extras of that name."""

from gradlab.interop.weights import Unmatched, Weights, load_weights, open_weights, save_weights

__all__ = ["Unmatched", "Weights", "load_weights", "open_weights", "save_weights"]
