"""Models as ONNX files (extra "onnx")."""

from gradlab.interop.onnx.builder import Builder
from gradlab.interop.onnx.export import to_onnx
from gradlab.interop.onnx.rows import ROWS

__all__ = ["ROWS", "Builder", "to_onnx"]
