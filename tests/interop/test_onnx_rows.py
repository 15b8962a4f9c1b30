"""The ONNX nodes of each row give what NumPy's function does, in onnxruntime."""

import numpy as np
import pytest

from gradlab.graph import OPS, Spec, apply, as_tensor, trace
from tests.graph.samples import draw

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
from gradlab.interop.onnx.builder import onnx_dtype  # noqa: E402
from gradlab.interop.onnx.export import _Written  # noqa: E402
from gradlab.interop.onnx.rows import ROWS as ONNX_ROWS  # noqa: E402

SEEDS = range(8)
TRAINING = {"after", "checkpointed", "conv_kernel", "fold", "random_bits"}


def test_every_row_has_nodes_but_those_of_training():
    assert set(ONNX_ROWS) == set(OPS) - TRAINING


@pytest.mark.parametrize("name", sorted(set(ONNX_ROWS) - {"random_uniform"}))
def test_the_nodes_give_what_the_row_does(name):
    op = OPS[name]
    for seed in SEEDS:
        inputs, params = draw(op, np.random.default_rng(seed), np.float32)
        if any(x.size == 0 for x in inputs):
            continue
        with np.errstate(all="ignore"):
            expected = apply(op, tuple(as_tensor(x) for x in inputs), params).numpy()
        # Index arrays may be known beforehand only, so only floats are inputs.
        moving = [i for i, x in enumerate(inputs) if i == 0 or name != "index_add"]

        def function(*xs, moving=moving, inputs=inputs, params=params, op=op):
            full = [as_tensor(x) for x in inputs]
            for i, x in zip(moving, xs, strict=True):
                full[i] = x
            return apply(op, tuple(full), params)

        graph = trace(function, *[Spec(inputs[i].shape, inputs[i].dtype) for i in moving])
        found = run(graph, [inputs[i] for i in moving])
        assert found.dtype == expected.dtype
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-5)


def run(graph, inputs):
    names = [f"x{i}" for i in range(len(inputs))]
    written = _Written(graph, names, {})
    helper = onnx.helper
    (y,) = graph.outputs
    info = helper.make_tensor_value_info
    made = helper.make_graph(
        written.builder.nodes,
        "row",
        [info(n, onnx_dtype(x.dtype), x.shape) for n, x in zip(names, inputs, strict=True)],
        [info("output", onnx_dtype(y.dtype), y.shape)],
        [onnx.numpy_helper.from_array(a, n) for n, a in written.builder.constants.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, dict(zip(names, inputs, strict=True)))[0]
