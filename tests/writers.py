"""What writes users' files, in two versions; as a program, each dies inside its writes.

    python -m tests.writers FOLDER

The system ends a process at the first byte beyond a limit: a write is half done then, whatever
library does it.
"""

import hashlib
import os
import resource
import signal
import sys
from pathlib import Path

import numpy as np
import torch

import gradlab as gl
from gradlab import nn, optim, schedule
from gradlab.data import Remote, fetch, memory_map
from gradlab.inspect import draw, explain
from gradlab.interop import save_weights
from gradlab.interop.onnx import to_onnx
from gradlab.studies.figure import write_picture
from gradlab.studies.study import Picture
from gradlab.train import History, JSONLog, RunFolder, Trainer
from gradlab.train.files import save_arrays, write_json
from gradlab.train.training import Training


def history(version):
    rows = [{"epoch": i + 1, "update": i, "loss": 1 / (i + version + 1)} for i in range(40)]
    return History(rows)


def layer(version):
    made = nn.Linear(20, 20)
    made.weight.assign(np.full((20, 20), version + 0.5))
    made.bias.assign(np.arange(20) + version)
    return made


def training(version):
    x = np.ones((4, 20), np.float32)
    trainer = Trainer(layer(version), x, x, nn.mse_loss, optim.SGD(0.1), batch_size=4)
    return Training(trainer, epochs=1, history=history(version))


def drawing(version):
    x = gl.Variable(float(version + 1), name="x")
    with gl.GradientTape():
        y = gl.exp(x) * x + version
    return draw(y), explain(y, wrt=x)


def array(path, version):
    """Large ones are memory maps."""
    large, memory_map.LARGE = memory_map.LARGE, 0
    try:
        path.unlink(missing_ok=True)  # it is written once
        fill = lambda made: made.__setitem__(slice(None), version)  # noqa: E731
        memory_map.make_array("a", (1000,), "float32", fill, path.parents[1])
    finally:
        memory_map.LARGE = large


def download(path, version):
    path.unlink(missing_ok=True)  # it is fetched once
    source = path.with_name("home")
    source.write_bytes(bytes([version]) * 5000)
    checksum = "sha256:" + hashlib.sha256(source.read_bytes()).hexdigest()
    fetch(Remote(path.name, (source.as_uri(),), checksum), path.parent)


def log(path, version):
    made = training(version)
    JSONLog(path).on_start(made)


def picture(version):
    def curve(figure):
        figure.subplots().plot([0, 1], [version, 2])

    return Picture("p", "a line", curve)


WRITERS = {
    "JSON": ("a.json", lambda path, v: write_json(path, list(range(v, 900)))),
    "arrays": ("a.safetensors", lambda path, v: save_arrays(path, layer(v).state_dict(), {})),
    "weights": ("w.safetensors", lambda path, v: save_weights(layer(v), path)),
    "weights for PyTorch": ("w.pt", lambda path, v: save_weights(layer(v), path)),
    "ONNX": ("m.onnx", lambda path, v: to_onnx(layer(v), path, (1, 20))),
    "history": ("history.json", lambda path, v: history(v).to_json(path)),
    "curves": ("curves.png", lambda path, v: history(v).plot(path)),
    "curves as SVG": ("curves.svg", lambda path, v: history(v).plot(path)),
    "schedule": ("s.png", lambda path, v: schedule.plot({"a": schedule.Cosine(9 + v)}, 9, path)),
    "drawing": ("d.svg", lambda path, v: drawing(v)[0].save(path)),
    "drawing for Graphviz": ("d.dot", lambda path, v: drawing(v)[0].save(path)),
    "explanation": ("e.txt", lambda path, v: drawing(v)[1].save(path)),
    "figure of a study": ("f.svg", lambda path, v: write_picture(picture(v), path)),
    "log": ("log.jsonl", log),
    "checkpoint": (
        "checkpoint.safetensors",
        lambda path, v: RunFolder(path.parent).checkpoint(training(v)),
    ),
}
"""Name of the file, and a function of its path and the version, 0 or 1, that replaces it."""
ONCE = {"large array": ("arrays/a.npy", array), "download": ("file.bin", download)}
"""Those that write a file only if it is not there."""


def dies(write, limit):
    """Whether writing ends a process that may write files of so many bytes."""
    child = os.fork()
    if not child:
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            write()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXFSZ


def check(name, folder):
    """Of each writer: a death at any byte leaves what was there, and the next writing is whole."""
    file, write = (WRITERS | ONCE)[name]
    contents = []
    for version in (1, 0):
        path = folder / str(version) / file
        path.parent.mkdir(parents=True)
        write(path, version)
        contents.append(path.read_bytes())
    new, old = contents
    assert new != old, name
    if name in ONCE:
        path.unlink()
        old = None
    size = len(new)
    for limit in (0, 1, size // 3, size - 1):
        assert dies(lambda: write(path, 1), limit), (name, limit)
        assert (path.read_bytes() if path.exists() else None) == old, (name, limit)
    assert not dies(lambda: write(path, 1), resource.RLIM_INFINITY), name
    assert path.read_bytes() == new, name
    assert {p.name for p in path.parent.iterdir()} <= {path.name, "home"}, name


if __name__ == "__main__":
    torch.set_num_threads(1)
    for number, name in enumerate(WRITERS | ONCE):
        check(name, Path(sys.argv[1]) / str(number))
