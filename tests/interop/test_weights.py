"""Files of weights: to and from PyTorch and Hugging Face, lazily, and what is wrong with them."""

import json
import pickle
import struct

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from gradlab import nn
from gradlab.errors import (
    ArgumentError,
    DataError,
    DTypeError,
    MissingExtraError,
    RunError,
    ShapeError,
)
from gradlab.interop import Unmatched, load_weights, open_weights, save_weights


def model(seed=0):
    made = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    rng = np.random.default_rng(seed)
    for variable in made.named_variables().values():
        variable.assign(rng.uniform(0, 9, variable.shape).astype(variable.dtype))
    return made


def same_state(a, b):
    assert list(a) == list(b)
    for name in a:
        assert a[name].dtype == b[name].dtype
        np.testing.assert_array_equal(a[name], b[name])


@pytest.fixture(params=["w.safetensors", "w.pt", "w.pth", "w.bin"])
def path(request, tmp_path):
    if not request.param.endswith(".safetensors"):
        pytest.importorskip("torch")
    return tmp_path / request.param


def test_there_and_back(path):
    save_weights(model(), path)
    other = model(seed=1)
    assert load_weights(other, path) == ((), ())
    same_state(other.state_dict(), model().state_dict())
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_what_pytorch_reads_and_writes(path):
    torch = pytest.importorskip("torch")
    from safetensors import torch as files

    twin = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    save_weights(model(), path)
    lazily = path.suffix == ".safetensors"
    twin.load_state_dict(files.load_file(path) if lazily else torch.load(path, weights_only=True))
    for name, value in twin.state_dict().items():
        np.testing.assert_array_equal(value, model().state_dict()[name])

    with torch.no_grad():
        twin[0].weight += 1
    (files.save_file if lazily else torch.save)(twin.state_dict(), path)
    ours = model()
    load_weights(ours, path)
    np.testing.assert_array_equal(ours[0].weight, model()[0].weight.numpy() + 1)


def test_half_precision_is_read_exactly(path):
    torch = pytest.importorskip("torch")
    from safetensors import torch as files

    numbers = torch.tensor([[1.0, -0.0, 3.140625], [float("inf"), 1e-40, 65280.0]])
    state = {
        "bfloat": numbers.bfloat16(),
        "float": numbers.half(),
        "none": torch.zeros(0, 3).bfloat16(),
        "one": torch.tensor(2.5).bfloat16(),
    }
    (files.save_file if path.suffix == ".safetensors" else torch.save)(state, path)
    weights = open_weights(path)
    for name, value in state.items():
        assert weights[name].dtype == np.float32
        assert weights[name].shape == value.shape
        np.testing.assert_array_equal(weights[name], value.float().numpy())


def test_arrays_and_tensors_by_name(path):
    torch = pytest.importorskip("torch")
    given = {"a": np.arange(6).reshape(2, 3).T, "b": torch.ones(2, requires_grad=True), "c": 1.5}
    save_weights(given, path)
    found = open_weights(path)
    assert {name: found[name].tolist() for name in found} == {
        "a": [[0, 3], [1, 4], [2, 5]],
        "b": [1.0, 1.0],
        "c": 1.5,
    }


def test_arrays_that_cannot_be_written_to(path):
    array = np.ones(3)
    array.setflags(write=False)
    save_weights({"a": array}, path)
    assert open_weights(path)["a"].tolist() == [1, 1, 1]


def test_a_folder_that_is_missing(path):
    with pytest.raises(RunError, match=f"cannot write .*{path.name}"):
        save_weights(model(), path.parent / "none" / path.name)


def test_metadata(tmp_path):
    path = tmp_path / "m.safetensors"
    save_weights(model(), path, {"source": "a test"})
    assert open_weights(path).metadata == {"format": "pt", "source": "a test"}
    with pytest.raises(ArgumentError, match="no place for metadata"):
        save_weights(model(), tmp_path / "m.pt", {"source": "a test"})


def test_arrays_are_read_when_they_are_asked_for(tmp_path):
    path = tmp_path / "m.safetensors"
    save_weights({"a": np.zeros(3), "b": np.ones(3)}, path)
    weights = open_weights(path)
    data = bytearray(path.read_bytes())
    length = struct.unpack("<Q", data[:8])[0]
    start = 8 + length + json.loads(data[8 : 8 + length])["b"]["data_offsets"][0]
    data[start : start + 8] = struct.pack("<d", 7.0)
    with path.open("r+b") as file:
        file.write(data)
    assert weights["b"].tolist() == [7, 1, 1]


@pytest.mark.parametrize("holder", ["state_dict", "model_state_dict", "model"])
@pytest.mark.parametrize(
    "prefix", ["", "module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."]
)
def test_checkpoints(holder, prefix, tmp_path):
    torch = pytest.importorskip("torch")
    state = {prefix + name: torch.tensor(v) for name, v in model().state_dict().items()}
    checkpoint = {"epoch": 3, "optimizer": {"lr": torch.tensor(0.1)}, holder: state}
    torch.save(checkpoint, tmp_path / "last.ckpt")
    same_state(dict(open_weights(tmp_path / "last.ckpt")), model().state_dict())


def test_a_prefix_of_some_names_is_a_name(tmp_path):
    path = tmp_path / "m.safetensors"
    save_weights({"module.a": np.zeros(1), "b": np.zeros(1)}, path)
    assert sorted(open_weights(path)) == ["b", "module.a"]


@pytest.mark.parametrize("strict", [True, False])
def test_a_part_of_the_model_that_is_called_module(strict, tmp_path):
    class Holder(nn.Module):
        def __init__(self, seed):
            self.module = model(seed)

    save_weights(Holder(0), tmp_path / "m.safetensors")
    ours = Holder(1)
    assert load_weights(ours, tmp_path / "m.safetensors", strict) == ((), ())
    same_state(ours.module.state_dict(), model().state_dict())


def test_a_shared_variable_under_any_of_its_names(tmp_path):
    ours, path, kept = model(), tmp_path / "m.safetensors", {"new": np.zeros(1)}
    ours.again = ours[0]
    array = np.full((4, 3), 5, np.float32)
    save_weights({"again.weight": array} | kept, path)
    missing = tuple(name for name in ours.state_dict() if name != "0.weight")
    assert load_weights(ours, path, strict=False) == (missing, ("new",))
    np.testing.assert_array_equal(ours[0].weight, array)
    save_weights({"again.weight": array, "0.weight": array + 1}, path)
    with pytest.raises(ArgumentError, match=r"0.weight and again.weight are one Variable"):
        load_weights(ours, path, strict=False)


def test_what_does_not_match(tmp_path):
    path = tmp_path / "m.safetensors"
    state = model().state_dict()
    state["head.weight"] = state.pop("0.weight")
    save_weights(state, path)
    ours = model(seed=1)
    before = ours.state_dict()
    with pytest.raises(ArgumentError, match=r"0\.weight"):
        load_weights(ours, path)
    same_state(ours.state_dict(), before)
    found = load_weights(ours, path, strict=False)
    assert found == Unmatched(missing=("0.weight",), unexpected=("head.weight",))
    same_state(ours.state_dict(), model().state_dict() | {"0.weight": before["0.weight"]})

    save_weights({"x": np.zeros(1)}, path)
    with pytest.raises(ArgumentError, match=r"no name in .* is one of the model's: the file has x"):
        load_weights(ours, path, strict=False)
    save_weights({"0.weight": np.zeros((4, 4))}, path)
    with pytest.raises(ShapeError, match=r"0.weight has shape \(4, 4\)"):
        load_weights(ours, path, strict=False)


def written(path, content):
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", ["m.safetensors", "m.pt"])
def test_files_that_are_cut_off_or_foreign(name, tmp_path):
    if name == "m.pt":
        pytest.importorskip("torch")
    path = tmp_path / name
    save_weights(model(), path)
    whole = path.read_bytes()
    foreign = [b"", b"hello", b"\x89PNG\r\n\x1a\n" + bytes(100), json.dumps({"a": 1}).encode()]
    for content in [whole[: len(whole) // 2], whole[:-1], whole[:20], *foreign]:
        with pytest.raises(DataError, match=name) as caught:
            open_weights(written(path, content))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_pytorch_file_runs_no_code(protocol, tmp_path):
    pytest.importorskip("torch")
    bomb = tmp_path / "exploded"

    class Bomb:
        def __reduce__(self):
            return (open, (str(bomb), "w"))

    path = written(tmp_path / "m.pt", pickle.dumps({"a": Bomb()}, protocol))
    with pytest.raises(DataError, match=r"gradlab does not run: where it was made, save"):
        open_weights(path)
    assert not bomb.exists()


def test_a_damaged_pickle_of_allowed_functions(tmp_path):
    torch = pytest.importorskip("torch")

    class Damaged:
        def __reduce__(self):
            return (torch._utils._rebuild_tensor_v2, (1,))

    torch.save({"a": Damaged()}, tmp_path / "m.pt")
    with pytest.raises(DataError, match=r"m.pt is no PyTorch file, or was cut off"):
        open_weights(tmp_path / "m.pt")


def test_a_pytorch_file_without_tensors(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"epoch": 3}, tmp_path / "m.pt")
    with pytest.raises(DataError, match="holds no tensors by name"):
        open_weights(tmp_path / "m.pt")


def test_other_errors(tmp_path):
    with pytest.raises(DataError, match="there is no file"):
        open_weights(tmp_path / "m.safetensors")
    with pytest.raises(ArgumentError, match=r"ends with one of .safetensors, .pt"):
        save_weights(model(), tmp_path / "m.h5")
    with pytest.raises(DTypeError, match="a holds <U1, not numbers"):
        save_weights({"a": np.array(["x"])}, tmp_path / "m.safetensors")
    with pytest.raises(ArgumentError, match="names of arrays, and metadata, must be texts, got 7"):
        save_weights({7: np.ones(1)}, tmp_path / "m.safetensors")
    with pytest.raises(ArgumentError, match="must be texts, got 3"):
        save_weights({"a": np.ones(1)}, tmp_path / "m.safetensors", {"epoch": 3})
    with pytest.raises(ArgumentError, match=r"a module or arrays by name .* got <class 'list'>"):
        save_weights([1, 2], tmp_path / "m.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_dtype_that_numpy_lacks(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors import torch as files

    path = tmp_path / "m.safetensors"
    files.save_file({"a": torch.zeros(2).to(torch.float8_e4m3fn)}, path)
    with pytest.raises(DTypeError, match=r"a in .* holds F8_E4M3, which NumPy does not have"):
        open_weights(path)["a"]


def test_the_extra_that_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'gradlab\[torch\]'"):
        save_weights(model(), tmp_path / "m.pt")
    written(tmp_path / "m.pt", b"")
    with pytest.raises(MissingExtraError, match=r"gradlab\[torch\]"):
        open_weights(tmp_path / "m.pt")


def test_a_file_of_another_writer(tmp_path):
    save_file({"a": np.ones(2, np.float16)}, tmp_path / "m.safetensors")
    weights = open_weights(tmp_path / "m.safetensors")
    assert weights.metadata == {}
    assert weights["a"].dtype == np.float32
    with safe_open(tmp_path / "m.safetensors", "numpy") as file:
        assert len(weights) == len(list(file.keys()))
    with pytest.raises(KeyError):
        weights["b"]
