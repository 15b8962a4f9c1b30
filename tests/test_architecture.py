"""The house: imports go down only, packages show public names, and importing gradlab is light."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import gradlab

ROOT = Path(__file__).parents[1] / "gradlab"
FLOORS = {
    "errors": 0,
    "registry": 0,
    "seeding": 0,
    "palette": 0,
    "files": 0,
    "graph": 1,
    "backprop": 2,
    "execute": 2,
    "weight_files": 2,
    "nn": 3,
    "init": 3,
    "schedule": 3,
    "optim": 3,
    "data": 3,
    "train": 4,
    "inspect": 5,
    "interop": 5,
    "sklearn": 5,
    "studies": 6,
    "search": 6,
    "bench": 6,
    "playground": 7,
    "cli": 7,
    "__main__": 8,
    "__init__": 8,
}
# The ingredients do not know one another, but these two know nn's named parameters.
KNOWS = {("init", "nn"), ("optim", "nn")}
FILES = sorted(ROOT.rglob("*.py"))
PACKAGES = [path for path in FILES if path.name == "__init__.py"]
HEAVY = ["matplotlib", "pandas", "pyarrow", "rich", "scipy.stats", "sklearn", "torch", "typer"]


def label(path):
    return str(path.relative_to(ROOT))


def imports(path):
    """(module, name) of every gradlab import in a file, wherever it stands; name None for all."""
    parts = ("gradlab", *path.relative_to(ROOT).parts)
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # "from . import x" is counted from the file's own package
            base = parts[: -node.level] if node.level else ()
            module = ".".join((*base, *filter(None, [node.module])))
            yield from ((module, alias.name) for alias in node.names)


def fault(path, module, name):
    """What is wrong with an import, or None."""
    if module.partition(".")[0] != "gradlab":
        return None
    own = path.relative_to(ROOT).parts[0].removesuffix(".py")
    if module == "gradlab":
        # "from gradlab import nn" names a package; all else is the whole house
        if name not in FLOORS:
            return "imports the whole of gradlab" if own != "__main__" else None
        module, name = f"gradlab.{name}", None
    target = module.split(".")[1]
    if target == own:
        return None
    if FLOORS[target] > FLOORS[own]:
        return f"goes up to {target}"
    if FLOORS[target] == FLOORS[own] and FLOORS[own] > 0:
        if FLOORS[own] == 3 and (own, target) not in KNOWS:
            return f"goes sideways to {target}"
        if module != f"gradlab.{target}":
            return f"goes into a private file of {target}"
    if name is None:
        return None
    if name.startswith("_") and name != "__all__":
        return f"takes the private name {name} of {target}"
    if module == f"gradlab.{target}" and (ROOT / target).is_dir():
        public = {"*", "__all__", *importlib.import_module(module).__all__}
        if name not in public:
            return f"takes {name}, which {target} does not show"
    return None


@pytest.mark.parametrize("path", FILES, ids=label)
def test_imports_go_down(path):
    faults = [f"{module} {name or ''}: {why}" for module, name in imports(path)
              if (why := fault(path, module, name))]  # fmt: skip
    assert not faults, f"{label(path)}: {'; '.join(faults)}"


@pytest.mark.parametrize(
    ("path", "module", "name", "why"),
    [
        ("graph/tensor.py", "gradlab.backprop", "sweep", "goes up"),
        ("graph/tensor.py", "gradlab", "nn", "goes up"),
        ("graph/tensor.py", "gradlab", None, "whole"),
        ("errors.py", "gradlab.graph", "Tensor", "goes up"),
        ("optim/momentum.py", "gradlab.schedule", "Schedule", "sideways"),
        ("nn/module.py", "gradlab.init", None, "sideways"),
        ("execute/loop.py", "gradlab.backprop.tape", "GradientTape", "private file"),
        ("backprop/tape.py", "gradlab.graph.tensor", "_short", "private name"),
        ("backprop/tape.py", "gradlab.graph", "leaves", "does not show"),
        ("backprop/tape.py", "gradlab.graph", "Tensor", None),
        ("backprop/tape.py", "gradlab.graph.tree", "leaves", None),
        ("backprop/tape.py", "gradlab.backprop.sweep", "sweep", None),
        ("optim/momentum.py", "gradlab.nn", None, None),
        ("optim/momentum.py", "gradlab.nn.module", "Module", "private file"),
        ("registry.py", "gradlab.errors", "one_of", None),
    ],
)
def test_the_rules_themselves(path, module, name, why):
    found = fault(ROOT / path, module, name)
    assert (why is None and found is None) or (why and why in found)


def test_every_package_has_a_floor():
    found = {path.relative_to(ROOT).parts[0].removesuffix(".py") for path in FILES}
    assert found <= set(FLOORS), f"give them a floor: {sorted(found - set(FLOORS))}"


def test_the_top_shows_what_it_imports_later():
    assert set(gradlab._LATER) <= set(gradlab.__all__)
    for name in gradlab.__all__:
        assert getattr(gradlab, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        gradlab.nonsense  # noqa: B018


# The top imports its upper floors when they are asked for, which takes more than an import.
@pytest.mark.parametrize("path", [p for p in PACKAGES if p.parent.name != "gradlab"], ids=label)
def test_a_package_re_exports_and_nothing_else(path):
    docstring, *body = ast.parse(path.read_text("utf-8")).body
    assert isinstance(docstring, ast.Expr), f"{label(path)} has no docstring"
    here = ".".join(("gradlab", *path.relative_to(ROOT).parts[:-1]))
    for node in body:
        if isinstance(node, ast.Assign):
            assert [ast.unparse(target) for target in node.targets] == ["__all__"]
        else:
            assert isinstance(node, ast.ImportFrom), f"{label(path)}:{node.lineno} is no re-export"
            assert node.module.startswith(here), f"{label(path)} shows what is not its own"


@pytest.mark.parametrize("path", PACKAGES, ids=label)
def test_every_name_that_a_package_shows_is_there_once(path):
    module = importlib.import_module(".".join(("gradlab", *path.relative_to(ROOT).parts[:-1])))
    names = getattr(module, "__all__", [])
    assert len(set(names)) == len(names)
    assert [name for name in names if not hasattr(module, name)] == []


def test_importing_gradlab_is_light():
    script = f"import gradlab, sys; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
