"""A layer of ours and PyTorch's, of one state: names, outputs and all gradients, in float64."""

import numpy as np
import pytest

import gradlab as gl

torch = pytest.importorskip("torch")


def same(found, expected, what=""):
    """Equal to 1e-9 of the largest."""
    expected = np.asarray(expected.detach() if hasattr(expected, "detach") else expected)
    largest = np.abs(expected).max(initial=1e-3)
    np.testing.assert_allclose(
        np.asarray(found), expected, rtol=0, atol=1e-9 * largest, err_msg=what
    )


def compare(ours, theirs, *inputs, call=None, **options):
    """Load PyTorch's state, call both in their present mode, and compare everything.

    ``call`` gives PyTorch's output where it is not ``theirs(*inputs, **options)``.
    """
    theirs = theirs.double()
    theirs.zero_grad()
    ours.load_state_dict(theirs.state_dict())
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert list(ours.named_parameters()) == [name for name, _ in theirs.named_parameters()]
    for name, value in theirs.state_dict().items():
        assert ours.state_dict()[name].shape == tuple(value.shape), name
    tensors = [torch.tensor(x) for x in inputs]
    floats = [i for i, x in enumerate(inputs) if x.dtype.kind == "f"]
    for i in floats:
        tensors[i].requires_grad_()
    expected = (call or theirs)(*tensors, **options)
    adjoint = np.random.default_rng(7).normal(size=expected.shape)
    expected.backward(torch.tensor(adjoint))
    variables = [gl.Variable(x, trainable=x.dtype.kind == "f") for x in inputs]
    with gl.GradientTape() as tape:
        found = ours(*variables, **options)
        loss = (found * adjoint).sum()
    assert found.shape == tuple(expected.shape)
    assert found.dtype == np.float64
    same(found, expected, "output")
    names, parameters = [*ours.named_parameters()], ours.parameters()
    sources = [*parameters, *(variables[i] for i in floats)]
    gradients = tape.gradient(loss, sources)
    peers = [p.grad for p in theirs.parameters()] + [tensors[i].grad for i in floats]
    labels = names + [f"input {i}" for i in floats]
    for label, gradient, peer in zip(labels, gradients, peers, strict=True):
        same(gradient, peer, f"gradient by {label}")
    for name, value in theirs.state_dict().items():  # statistics that the call has moved on
        same(ours.state_dict()[name], value, name)


def check_compiled(layer, *inputs, **options):
    """Output and gradients of a compiled layer as of the eager one, and the same new state."""

    def step(*arguments):
        with gl.GradientTape() as tape:
            for x in arguments:
                tape.watch(x)
            y = layer(*arguments, **options)
            loss = (y * y).sum()
        return y, tape.gradient(loss, [*layer.parameters(), *arguments])

    before = {name: v.held for name, v in layer.named_variables().items()}
    found = gl.compile(step)(*inputs)
    after = layer.state_dict()
    for name, variable in layer.named_variables().items():
        variable.assign(before[name])
    expected = step(*map(gl.tensor, inputs))
    same(found[0], expected[0].numpy(), "output")
    for a, b in zip(found[1], expected[1], strict=True):
        same(a, b.numpy(), "gradient")
    for name, value in layer.state_dict().items():
        same(after[name], value, name)
