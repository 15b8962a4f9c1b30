"""Files of users are whole or not there, whoever writes them, and whenever a process dies."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gradlab.train import RunFolder

pytest.importorskip("torch")
pytest.importorskip("onnx")
from tests.writers import ONCE, WRITERS

ROOT = Path(__file__).parents[1]


def test_a_death_inside_a_write_leaves_what_was_there(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tests.writers", str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout


# --- what the disk has ----------------------------------------------------------------------------


@pytest.fixture
def events(monkeypatch):
    """What was synced, as its inode and size, and what was renamed, in their order."""
    noted = []
    sync = os.fsync

    def fsync(number):
        status = os.fstat(number)
        noted.append(("sync", status.st_ino, status.st_size))
        return sync(number)

    def renaming(name):
        rename = getattr(os, name)

        def call(source, target):
            rename(source, target)
            noted.append(("name", Path(target)))

        monkeypatch.setattr(os, name, call)

    monkeypatch.setattr(os, "fsync", fsync)
    renaming("replace")
    renaming("rename")
    return noted


def synced(path):
    status = path.stat()
    return ("sync", status.st_ino, status.st_size)


def folders(noted):
    """The same without sizes, which those of folders do not keep."""
    return [event[:2] for event in noted]


@pytest.mark.parametrize("name", WRITERS | ONCE)
def test_contents_are_on_the_disk_before_the_name_and_the_name_after(name, tmp_path, events):
    file, write = (WRITERS | ONCE)[name]
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    write(path, 0)
    named = events.index(("name", path))
    assert synced(path) in events[:named]  # as long as it is now
    assert synced(path.parent)[:2] in folders(events[named:])


def test_a_new_run_folder_is_on_the_disk_before_it_has_its_name(tmp_path, events):
    files = {"config.json": {"seed": 0}, "standard-input": b"1,2\n"}
    folder = RunFolder.create(tmp_path / "runs", "digits", files).path
    named = events.index(("name", folder))
    for file in files:
        assert synced(folder / file) in events[:named]
    assert synced(folder)[:2] in folders(events[:named])
    assert synced(folder.parent)[:2] in folders(events[named:])


# --- every writer ---------------------------------------------------------------------------------

WRITING = {"write_text", "write_bytes", "savefig", "open_memmap", "tofile", "savez", "dump"}
LIBRARIES = {"torch", "onnx", "np"}
IN_PLACE = {
    ("data/download.py", "_alone"): "an empty part, as a lock",
    ("data/download.py", "_from"): "a part, which has no name yet",
    ("data/download.py", "_receive"): "the same",
    ("execute/native/cache.py", "put"): "a name of its own for each writing, and a checksum",
    ("schedule/view.py", "_draw"): "into memory",
    ("train/callbacks.py", "on_epoch"): "a line more; a resume writes the file anew",
    ("train/run.py", "create"): "in a folder that has no name yet",
}
"""Functions that write otherwise, and why they may."""


def writes(call):
    """Whether a call writes a file."""
    function = call.func
    if isinstance(function, ast.Attribute) and function.attr in WRITING:
        return True
    if isinstance(function, ast.Attribute) and function.attr == "save":
        return isinstance(function.value, ast.Name) and function.value.id in LIBRARIES
    named = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    texts = [a.value for a in ast.walk(call) if isinstance(a, ast.Constant)]
    modes = [
        t for t in texts if isinstance(t, str) and 0 < len(t) <= 3 and set(t) <= set("rwaxbt+")
    ]
    return named == "open" and any(set(mode) & set("wax+") for mode in modes)


def names(node):
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def in_place(node, function="", temporary=frozenset()):
    """(function, line) of each call that writes to something else than a temporary path."""
    if isinstance(node, ast.FunctionDef):
        function = node.name
    if isinstance(node, ast.With):
        for item in node.items:
            called = item.context_expr
            replaces = isinstance(called, ast.Call) and "replacing" in names(called.func)
            if item.optional_vars and (replaces or names(called) & temporary):
                yield from in_place(called, function, temporary)
                temporary = temporary | names(item.optional_vars)
            else:
                yield from in_place(called, function, temporary)
        for part in node.body:
            yield from in_place(part, function, temporary)
        return
    if isinstance(node, ast.Call) and writes(node) and not names(node) & temporary:
        yield function, node.lineno
    for part in ast.iter_child_nodes(node):
        yield from in_place(part, function, temporary)


def test_whatever_writes_a_file_replaces_it():
    found = {}
    for path in sorted((ROOT / "gradlab").rglob("*.py")):
        label = str(path.relative_to(ROOT / "gradlab"))
        for function, line in in_place(ast.parse(path.read_text("utf-8"))):
            found.setdefault((label, function), []).append(line)
    assert set(found) == set(IN_PLACE), found


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        ("path.write_text('x')", [1]),
        ("with replacing(path) as t:\n path.write_text('x')", [2]),
        ("with replacing(path) as t:\n t.write_text('x')", []),
        ("with replacing(path) as t, t.open('wb') as file:\n torch.save(x, file)", []),
        ("with open(path, 'w') as file:\n pass", [1]),
        ("with path.open('a') as file:\n pass", [1]),
        ("with path.open('rb') as file:\n pass", []),
        ("figure.savefig(path)", [1]),
        ("onnx.save(m, path)", [1]),
    ],
)
def test_the_search_itself(code, lines):
    assert [line for _, line in in_place(ast.parse(code))] == lines
