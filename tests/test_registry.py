"""Rows by name: duplicates, aliases, specs that say too much, suggestions."""

import importlib
import pkgutil
from pathlib import Path

import pytest

import gradlab
from gradlab import init, optim
from gradlab.errors import ArgumentError
from gradlab.registry import Registry


@pytest.fixture
def colours():
    colours = Registry("colour")

    @colours.register("red", formula="λ ≈ 700 nm", paper="Newton, 1704", alias="rouge")
    def red(shade=0.5):
        """A warm one."""
        return f"red at {shade}"

    return colours


def test_an_alias_answers_but_is_not_listed(colours):
    assert colours.build("rouge(shade=1)") == "red at 1"
    assert colours["rouge"] is colours["red"]
    assert "rouge" in colours
    assert (list(colours), len(colours)) == (["red"], 1)
    with pytest.raises(ArgumentError, match="unknown colour 'rogue'; did you mean 'rouge'"):
        colours["rogue"]


def test_a_name_need_not_be_one_in_python(colours):
    colours.register("0f0", formula="", paper="")(lambda shade=1: shade)
    assert (colours.build("0f0"), colours.build(" 0f0 (shade=2) ")) == (1, 2)


@pytest.mark.parametrize("names", [("red", None), ("rouge", None), ("blue", "red")])
def test_a_name_is_taken_once(colours, names):
    name, alias = names
    with pytest.raises(ArgumentError, match=r"there is a colour 'r.*' already"):
        colours.register(name, formula="", paper="", alias=alias)(lambda: 0)
    assert colours.build("red") == "red at 0.5"
    assert list(colours) == ["red"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("red(shade=1, shade=2)", "each key once"),
        ("red(**{})", "cannot read colour"),
        ("red(0.3)", "cannot read colour"),
        ("red(shade=1", "cannot read colour"),
        ("red)", "cannot read colour"),
        ("red()()", "cannot read colour"),
        ("a red", "cannot read colour"),
        ("", "cannot read colour"),
        ("RED", "did you mean 'red'"),
        ("red(shades=1)", "unknown parameter of colour red 'shades'; did you mean 'shade'"),
        (None, "colour is None; write it as text"),
        ({"shade": 1}, "a table needs name"),
    ],
)
def test_specs_that_are_none(colours, spec, message):
    with pytest.raises(ArgumentError, match=message):
        colours.build(spec)


def test_first_authors_by_either_name():
    for kind in ("uniform", "normal", "truncated_normal"):
        for alias, name in (("he", "kaiming"), ("glorot", "xavier")):
            build = init.initializers.build
            assert build(f"{alias}_{kind}(gain=2)") == build(f"{name}_{kind}(gain=2)")


def test_optimizers_are_suggested_whatever_the_case():
    with pytest.raises(ArgumentError, match="did you mean 'adam'"):
        optim.optimizers.build("Adam")


def test_tests_put_back_the_rows_of_every_registry(request):
    """As conftest.py does for those that it names."""
    conftest = request.config.pluginmanager.get_plugin(
        str(Path(__file__).parents[1] / "conftest.py")
    )
    names = [m.name for m in pkgutil.walk_packages(gradlab.__path__, "gradlab.")]
    modules = [importlib.import_module(name) for name in names if "__main__" not in name]
    places = {id(thing) for m in modules for thing in vars(m).values() if type(thing) is Registry}
    known = {
        id(getattr(importlib.import_module(module), name))
        for module, name in conftest.REGISTRIES.items()
    }
    assert places == known
