"""Formulas mean the same after names are put in: checked by evaluating them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradlab.inspect.formulas import filled, product, word

TEMPLATES = (
    "x + y",
    "x − y",
    "x · y",
    "x / y",
    "−x",
    "2x",
    "x²",
    "1/y",
    "x^y",
    "−x/y²",
)
NUMBERS = {"a": 1.37, "b": -2.25, "c": 0.61}


def _value(text):
    """A formula's value, by the rules of Python on the same text."""
    code, previous = "", ""
    for c in text.replace("²", "^2").replace(" ", ""):
        if previous.isdigit() and (c.isalpha() or c == "("):
            code += "*"
        code += {"·": "*", "−": "-", "^": "**"}.get(c, c)
        previous = c
    return eval(code, {}, NUMBERS)


@given(st.data())
def test_nested_formulas_keep_their_meaning(data):
    def draw(depth):
        if depth == 0:
            name = data.draw(st.sampled_from("abc"))
            return name, NUMBERS[name]
        template = data.draw(st.sampled_from(TEMPLATES))
        (x, u), (y, v) = draw(depth - 1), draw(depth - 1)
        text = filled(template, {"x": word(x), "y": word(y)})
        values = {
            "x + y": lambda: u + v,
            "x − y": lambda: u - v,
            "x · y": lambda: u * v,
            "x / y": lambda: u / v,
            "−x": lambda: -u,
            "2x": lambda: 2 * u,
            "x²": lambda: u**2,
            "1/y": lambda: 1 / v,
            "x^y": lambda: u**v,
            "−x/y²": lambda: -u / v**2,
        }
        return text, values[template]()

    try:
        text, value = draw(data.draw(st.integers(0, 3)))
    except (ZeroDivisionError, OverflowError, TypeError):
        return
    assert _value(text) == pytest.approx(value, rel=1e-9, nan_ok=True)


@pytest.mark.parametrize(
    ("template", "x", "expected"),
    [
        ("log x", "a + b", "log (a + b)"),
        ("exp(−x²)", "a − b", "exp(−(a − b)²)"),
        ("1 if x > 0 else 0", "a", "1 if a > 0 else 0"),
        ("|x|", "a + b", "|a + b|"),
        ("a − x", "b − c", "a − (b − c)"),
        ("a − x", "b · c", "a − b · c"),
        ("2x", "3", "2(3)"),
        ("x · y", "sin a", "(sin a) · y"),
        ("max(x, y)", "a if b else c", "max(a if b else c, y)"),
    ],
)
def test_parentheses(template, x, expected):
    assert filled(template, {"x": word(x)}) == expected


def test_products_of_matrices_keep_their_sides():
    assert product(["1", "a(1 − a)", "Xᵀ ·"]) == "Xᵀ · a(1 − a)"
    assert product(["Aᵀ ·", "Bᵀ ·"]) == "Bᵀ · Aᵀ ·"
    assert product(["· Aᵀ", "· Bᵀ"]) == "· Aᵀ · Bᵀ"
    assert product(["−1", "−1"]) == "1"
    assert product(["−1"]) == "−1"
    assert product(["a + b"]) == "a + b"
    assert product(["−1", "a + b"]) == "−(a + b)"
