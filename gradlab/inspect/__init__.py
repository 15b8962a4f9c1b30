"""Floor 5: looking into a computation, path by path and as a drawing."""

from gradlab.inspect.drawing import Arrow, Box, Drawing
from gradlab.inspect.edges import Edge
from gradlab.inspect.explanation import Explanation, explain
from gradlab.inspect.paths import Factor, Path
from gradlab.inspect.picture import draw

__all__ = ["Arrow", "Box", "Drawing", "Edge", "Explanation", "Factor", "Path", "draw", "explain"]
