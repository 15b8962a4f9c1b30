"""The benchmarks compare like with like: every library computes the same losses."""

import dataclasses

import numpy as np
import pytest

from benchmarks.models import CASES, ours
from benchmarks.peers import on_gradlab
from benchmarks.peers.sweep import digits
from benchmarks.peers.task import indices, named, problem

REGRESSION = dataclasses.replace(named("2-8-8-1"), rows=40, stretch=4)
CLASSES = dataclasses.replace(named("64-64-10"), rows=128, stretch=2)
UPDATES = 4


def candidates(library, work):
    if library == "torch":
        on_pytorch = pytest.importorskip("benchmarks.peers.on_pytorch")
        return on_pytorch.candidates(work, ("eager", "fused"))  # compiling takes seconds
    if library == "jax":
        pytest.importorskip("jax")
        pytest.importorskip("optax")
        from benchmarks.peers import on_jax

        return on_jax.candidates(work)
    from benchmarks.peers import on_sklearn

    return on_sklearn.candidates(work)


@pytest.mark.parametrize("task", [REGRESSION, CLASSES], ids=lambda task: task.name)
@pytest.mark.parametrize("library", ["torch", "jax", "sklearn"])
def test_every_library_has_the_same_losses(task, library):
    work = problem(task)
    ours, *others = on_gradlab.candidates(work)
    expected = np.asarray(ours.first(UPDATES), np.float64)
    assert len(set(expected)) == UPDATES
    for candidate in [*others, *candidates(library, work)]:
        losses = np.asarray(candidate.first(UPDATES), np.float64)
        wanted = expected if losses.size > 1 else [expected.mean()]
        np.testing.assert_allclose(losses, wanted, rtol=2e-5, err_msg=candidate.name)
        candidate.run(candidate.quantum)


def test_operations_weights_and_live_numbers_are_counted_as_said():
    task = dataclasses.replace(CLASSES, sizes=(5, 4, 3), batch=2)
    assert task.flops == 2 * 2 * (5 * 4 * 2 + 4 * 3 * 3)
    assert task.weights == 5 * 4 + 4 + 4 * 3 + 3
    # At the last layer: the batch, its input, the logits' adjoint and its input's.
    assert task.live == 2 * (5 + 4 + 3 + 4)


def test_a_sweep_gives_each_network_its_own_weights_batches_and_rate():
    work = digits(models=3, epochs=1)
    assert work.indices.shape == (3, 56, 32)
    assert len(set(work.rates)) == 3
    for number in range(2):
        assert not np.array_equal(work.indices[number], work.indices[number + 1])
        assert not np.array_equal(work.layers[number][0][0], work.layers[number + 1][0][0])
    assert sorted(work.indices[0].ravel()) == list(range(len(work.x)))


@pytest.mark.parametrize("name", ["2c2d", "gpt"])
def test_models_are_the_same_in_every_library(name):
    torch_models = pytest.importorskip("benchmarks.peers.torch_models")
    case = dataclasses.replace(CASES[name], batch=2)
    x, y = case.data()
    rows = indices(len(x), 2, 8)
    expected = ours(case, x, y, rows).first(3)
    assert len(set(expected.tolist())) == 3
    state = case.network().state_dict()
    others = torch_models.candidates(case.model, case.optimizer, state, x, y, rows, ("eager",))
    if name == "2c2d":
        jax_models = pytest.importorskip("benchmarks.peers.jax_models")
        others += jax_models.candidates(state, x, y, rows)
    for other in others:
        np.testing.assert_allclose(other.first(3), expected, rtol=1e-4, err_msg=other.name)
