"""ONNX files of models, run by onnxruntime at several batch sizes."""

import dataclasses

import numpy as np
import pytest

import gradlab as gl
from gradlab import Spec, nn
from gradlab.errors import ArgumentError
from gradlab.nn.augment import Pixels, RandomCrop
from tests.interop.model_cases import build, example, names

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
from gradlab.interop.onnx import to_onnx  # noqa: E402


def run(path, **inputs):
    session = onnxruntime.InferenceSession(path)
    return session.run(None, inputs)


@pytest.mark.parametrize("name", names())
def test_models(name, tmp_path):
    model, path = build(name), tmp_path / "model.onnx"
    to_onnx(model, path, example(name, 1))
    (argument,) = (x.name for x in onnx.load(path).graph.input)
    for n in (1, 2, 5):
        x = example(name, n, seed=n)
        (found,) = run(path, **{argument: x})
        np.testing.assert_allclose(found, model(x), rtol=1e-4, atol=1e-5)


def test_layers_that_return_several_things(tmp_path):
    model = nn.LSTM(3, 4, batch_first=True)
    to_onnx(model, tmp_path / "lstm.onnx", (1, 5, 3))
    x = np.random.default_rng(0).standard_normal((6, 5, 3)).astype(np.float32)
    y, (h, c) = model(x)
    for found, expected in zip(run(tmp_path / "lstm.onnx", x=x), (y, h, c), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_several_inputs_and_a_spec(tmp_path):
    class Scaled(nn.Module):
        def forward(self, x, index):
            return gl.take_along_axis(x, gl.expand_dims(index, 1), axis=1)

    path = tmp_path / "scaled.onnx"
    to_onnx(Scaled(), path, (1, 3), Spec((1,), "int64"))
    x, index = np.arange(9, dtype=np.float32).reshape(3, 3), np.array([2, 0, 1])
    np.testing.assert_array_equal(run(path, x=x, index=index)[0], [[2], [3], [7]])
    to_onnx(Scaled(), path, (1, 3), Spec((1,), "int64"), batch=2)
    x, index = np.arange(6, dtype=np.float32).reshape(2, 3), np.array([2, 0])
    np.testing.assert_array_equal(run(path, x=x, index=index)[0], [[2], [3]])
    shapes = [x.type.tensor_type.shape.dim for x in onnx.load(path).graph.input]
    assert [[dim.dim_value for dim in shape] for shape in shapes] == [[2, 3], [2]]


def test_the_batch_axis_is_named_and_weights_keep_their_names(tmp_path):
    path = tmp_path / "m.onnx"
    to_onnx(nn.MLP((4, 8, 3)), path, (1, 4), metadata={"classes": "a,b,c"})
    model = onnx.load(path)
    (x,), (y,) = model.graph.input, model.graph.output
    assert [x.name, y.name] == ["x", "output"]
    dims = [dim.dim_param or dim.dim_value for dim in y.type.tensor_type.shape.dim]
    assert dims == ["batch", 3]
    assert [array.name for array in model.graph.initializer] == [
        *("0.weight", "0.bias", "2.weight", "2.bias")
    ]
    assert {p.key: p.value for p in model.metadata_props} == {"classes": "a,b,c"}


def test_images_as_bytes(tmp_path):
    model = nn.Sequential(RandomCrop(3, padding=1), Pixels([0.5] * 2, [0.2] * 2), nn.MaxPool2d(2))
    to_onnx(model, tmp_path / "m.onnx", Spec((1, 2, 5, 4), "uint8"))
    x = np.random.default_rng(0).integers(0, 256, (4, 2, 5, 4), np.uint8)
    np.testing.assert_allclose(run(tmp_path / "m.onnx", x=x)[0], model.eval()(x), rtol=1e-5)


@pytest.mark.parametrize(
    "layer",
    [
        nn.MaxPool1d(3, 2, 1, dilation=2),
        nn.AvgPool1d(3, 2, 1),
        nn.AvgPool1d(3, padding=1, count_include_pad=False),
        nn.AdaptiveAvgPool1d(4),
        nn.ConvTranspose1d(4, 2, 3, 2, 1, 1),
        nn.GroupNorm(2, 4),
        nn.Sequential(nn.ELU(), nn.Softplus(), nn.Softmax(), nn.LogSoftmax(1)),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_layers(layer, tmp_path):
    to_onnx(layer, tmp_path / "m.onnx", (1, 4, 9))
    x = np.random.default_rng(0).standard_normal((3, 4, 9)).astype(np.float32)
    np.testing.assert_allclose(
        run(tmp_path / "m.onnx", x=x)[0], layer.eval()(x), rtol=1e-5, atol=1e-6
    )


def test_poolings_are_single_nodes(tmp_path):
    model = nn.Sequential(nn.MaxPool2d(2), nn.AvgPool2d(2))
    to_onnx(model, tmp_path / "m.onnx", (1, 2, 8, 8))
    kinds = [node.op_type for node in onnx.load(tmp_path / "m.onnx").graph.node]
    assert "Gather" not in kinds
    assert {"MaxPool", "AveragePool"} <= set(kinds)


def test_a_shape_of_one_free_length_is_plain(tmp_path):
    to_onnx(nn.Flatten(), tmp_path / "m.onnx", (1, 2, 3))
    graph = onnx.load(tmp_path / "m.onnx").graph
    assert [node.op_type for node in graph.node] == ["Reshape", "Identity"]
    assert onnx.numpy_helper.to_array(graph.initializer[0]).tolist() == [-1, 6]


def test_what_is_exported_is_evaluation_and_the_mode_stays(tmp_path):
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5).eval())
    before = model.state_dict()
    to_onnx(model, tmp_path / "m.onnx", (1, 3))
    assert [model.training, model[0].training, model[1].training] == [True, True, False]
    x = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    np.testing.assert_allclose(run(tmp_path / "m.onnx", x=x)[0], model.eval()(x), rtol=1e-5)
    for name, value in before.items():
        np.testing.assert_array_equal(model.state_dict()[name], value)


class Noise(nn.Module):
    def __init__(self):
        self.stream = gl.RandomStream(0)

    def forward(self, x):
        return x + self.stream.uniform(x.shape, x.dtype)


def test_random_numbers_are_uniform_and_others_at_each_run(tmp_path):
    to_onnx(Noise(), tmp_path / "noise.onnx", (1, 1000))
    session = onnxruntime.InferenceSession(tmp_path / "noise.onnx")
    first, second = (session.run(None, {"x": np.zeros((9, 1000), np.float32)})[0] for _ in "ab")
    assert 0 <= first.min() < 0.01 < 0.99 < first.max() < 1
    assert abs(first.mean() - 0.5) < 0.02
    assert (first != second).any()


def test_numbers_that_grow_with_the_batch(tmp_path):
    class Centred(nn.Module):
        def forward(self, x):
            rows = gl.zeros((x.shape[0], 2), x.dtype) + gl.mean(x)
            return gl.concat([x, rows], axis=1), gl.sum(x, axis=0) / x.shape[0]

    to_onnx(Centred(), tmp_path / "m.onnx", (1, 3))
    x = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    for found, expected in zip(run(tmp_path / "m.onnx", x=x), Centred()(x), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_what_is_half_the_batch_is_refused(tmp_path):
    """Of odd sizes alone, n // 2 would be on a line that it is not on for whole numbers."""

    class Middle(nn.Module):
        def forward(self, x):
            return x[x.shape[0] // 2]

    with pytest.raises(ArgumentError, match="a number of the model depends on the batch size"):
        to_onnx(Middle(), tmp_path / "m.onnx", (1, 3))


def test_weights_that_are_called_as_other_things(tmp_path):
    class Named(nn.Module):
        def __init__(self):
            for name in ("x", "output", "multiply_1", "mul_1"):
                setattr(self, name, gl.Variable(np.full((1, 2), 3, np.float32)))

        def forward(self, x):
            return x * self.x * self.output * self.multiply_1 * self.mul_1

    to_onnx(Named(), tmp_path / "m.onnx", (1, 2))
    x = np.array([[1, 2]], np.float32)
    np.testing.assert_array_equal(run(tmp_path / "m.onnx", x=x)[0], 81 * x)


class Counted(nn.Module):
    def __init__(self):
        self.seen = gl.Variable(0.0, name="seen", trainable=False)

    def forward(self, x):
        self.seen.assign(self.seen + 1)
        return x * self.seen


CUBE = gl.Op(
    "cube",
    forward=lambda xp, x: x**3,
    infer=gl.elementwise_shape,
    vjps=(lambda g, y, x: 3 * g * x * x,),
    formula="x³",
)


class Cube(nn.Module):
    def __init__(self, op=CUBE):
        self.op = op

    def forward(self, x):
        return gl.apply(self.op, (gl.as_tensor(x),))


def test_a_row_that_says_what_it_is_composed_of(tmp_path):
    op = dataclasses.replace(CUBE, name="square", composed=lambda x: x * x * x)
    to_onnx(Cube(op), tmp_path / "m.onnx", (1, 1))
    (found,) = run(tmp_path / "m.onnx", x=np.float32([[2]]))
    assert found == [[8]]


@pytest.mark.parametrize(
    ("model", "examples", "message"),
    [
        (Counted(), [(1, 2)], "changes seen in evaluation"),
        (Cube(), [(1, 2)], "no ONNX nodes are known for the op 'cube'"),
        (Cube(dataclasses.replace(CUBE, name="square")), [(1, 2)], "known for the op 'square'"),
        (nn.ReLU(), [], "needs an example input"),
        (nn.ReLU(), [2.0], "needs an axis of the batch"),
    ],
)
def test_errors(model, examples, message, tmp_path):
    path = tmp_path / "m.onnx"
    path.write_text("before")
    with pytest.raises(ArgumentError, match=message):
        to_onnx(model, path, *examples)
    assert path.read_text() == "before"
    with pytest.raises(ArgumentError, match="batch is 1 or more, got 0"):
        to_onnx(nn.ReLU(), path, (1, 2), batch=0)
    with pytest.raises(ArgumentError, match="to_onnx takes a module of gradlab, got <class 'str'>"):
        to_onnx("model", path, (1, 2))
