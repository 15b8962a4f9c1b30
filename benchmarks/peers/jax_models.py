"""2c2d in JAX, channels last as its convolutions like it best."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from benchmarks.peers.task import Array, Candidate

Tree = Any
RATE = 0.01
QUANTUM = 2
"""Updates of a scan."""


def _weights(state: Mapping[str, Array]) -> Tree:
    """Kernels as (height, width, in, out), dense layers as (in, out)."""
    weights = {name: np.asarray(array) for name, array in state.items()}
    for name in ("conv1.weight", "conv2.weight"):
        weights[name] = weights[name].transpose(2, 3, 1, 0)
    # The first dense layer reads rows, columns and channels in JAX's order.
    dense = weights["dense1.weight"].reshape(-1, 64, 7, 7).transpose(2, 3, 1, 0)
    weights["dense1.weight"] = dense.reshape(7 * 7 * 64, -1)
    weights["dense2.weight"] = weights["dense2.weight"].T
    return {name: jnp.asarray(array) for name, array in weights.items()}


def _loss(w: Tree, x: jax.Array, y: jax.Array) -> jax.Array:
    for layer in ("conv1", "conv2"):
        x = lax.conv_general_dilated(
            x, w[f"{layer}.weight"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        x = jax.nn.relu(x + w[f"{layer}.bias"])
        x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    x = x.reshape(len(x), -1)
    x = jax.nn.relu(x @ w["dense1.weight"] + w["dense1.bias"])
    logits = x @ w["dense2.weight"] + w["dense2.bias"]
    return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()


def candidates(state: Mapping[str, Array], x: Array, y: Array, rows: Array) -> list[Candidate]:
    """One compiled update a call, and some in one compiled scan, with SGD."""
    images, classes = jnp.asarray(x.transpose(0, 2, 3, 1)), jnp.asarray(y)

    def update(weights: Tree, picked: jax.Array) -> tuple[Tree, jax.Array]:
        loss, g = jax.value_and_grad(_loss)(weights, images[picked], classes[picked])
        return jax.tree.map(lambda w, g: w - RATE * g, weights, g), loss

    def candidate(name: str, function: Any, batches: jax.Array, quantum: int) -> Candidate:
        compiled = jax.jit(function, donate_argnums=0)
        weights = _weights(state)
        turns = itertools.cycle(batches)

        def run(updates: int) -> list[jax.Array]:
            nonlocal weights
            losses = []
            for _ in range(updates // quantum):
                weights, loss = compiled(weights, next(turns))
                losses.append(loss)
            jax.block_until_ready(weights)
            return losses

        def first(updates: int) -> np.ndarray:
            whole = -(-updates // quantum) * quantum
            return np.ravel(run(whole))[:updates]

        return Candidate(name, first, run, quantum, tolerance=1e-3)

    def scan(weights: Tree, picked: jax.Array) -> tuple[Tree, jax.Array]:
        return lax.scan(update, weights, picked)

    batches = jnp.asarray(rows)
    stretches = batches.reshape(-1, QUANTUM, rows.shape[1])
    return [
        candidate("JAX jit per step", update, batches, 1),
        candidate("JAX jit + scan", scan, stretches, QUANTUM),
    ]
