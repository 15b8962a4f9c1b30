"""Colours and dashes of every picture, which people with any colour vision can tell apart.

Source: Okabe and Ito, Color Universal Design, 2008.
"""

BLUE = "#0072B2"
VERMILION = "#D55E00"
GREEN = "#009E73"
PURPLE = "#CC79A7"
BLACK = "#000000"
SKY = "#56B4E9"
ORANGE = "#E69F00"

COLOURS = (BLUE, VERMILION, GREEN, PURPLE, BLACK, SKY, ORANGE)
"""For curves on white, in this order; the eighth, yellow, does not stand out from it."""

DASHES = ("solid", (0, (6, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))
"""As matplotlib has them, in a number prime to that of the colours, so that 28 curves differ."""
