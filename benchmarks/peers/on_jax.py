"""JAX with optax: one compiled update a call, and many updates in one compiled scan."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.peers.sweep import Sweep, Train
from benchmarks.peers.task import Candidate, Problem

Tree = Any
ACTIVATIONS = {"tanh": jnp.tanh, "relu": jax.nn.relu}


def _weights(layers: Tree) -> Tree:
    """Weights as JAX's libraries lay them out, (in, out)."""
    return [(jnp.asarray(weight.T), jnp.asarray(bias)) for weight, bias in layers]


def _rows(array: jax.Array, rows: jax.Array) -> jax.Array:
    """A batch, without a check of bounds: a quarter of a small update's time."""
    return array.at[rows].get(mode="promise_in_bounds")


def _loss(weights: Tree, x: jax.Array, y: jax.Array, activation: str, classes: bool) -> jax.Array:
    for weight, bias in weights[:-1]:
        x = ACTIVATIONS[activation](x @ weight + bias)
    weight, bias = weights[-1]
    output = x @ weight + bias
    if classes:
        return optax.softmax_cross_entropy_with_integer_labels(output, y).mean()
    return jnp.square(output - y).mean()


def candidates(problem: Problem) -> list[Candidate]:
    """An update a call, with donated weights and slots, and a scan."""
    task = problem.task
    optimizer = {"SGD": optax.sgd, "Adam": optax.adam}[task.optimizer](task.rate)
    x, y = jnp.asarray(problem.x), jnp.asarray(problem.y)
    gradient = jax.value_and_grad(partial(_loss, activation=task.activation, classes=task.classes))

    def update(state: Tree, x: jax.Array, y: jax.Array, rows: jax.Array) -> tuple[Tree, jax.Array]:
        weights, slots = state
        loss, g = gradient(weights, _rows(x, rows), _rows(y, rows))
        change, slots = optimizer.update(g, slots, weights)
        return (optax.apply_updates(weights, change), slots), loss

    def scan(state: Tree, x: jax.Array, y: jax.Array, rows: jax.Array) -> tuple[Tree, jax.Array]:
        return jax.lax.scan(lambda state, rows: update(state, x, y, rows), state, rows)

    def candidate(name: str, function: Any, rows: list[jax.Array], quantum: int) -> Candidate:
        compiled = jax.jit(function, donate_argnums=0)
        weights = _weights(problem.layers)
        state = (weights, optimizer.init(weights))
        turns = itertools.cycle(rows)

        def run(updates: int) -> list[jax.Array]:
            nonlocal state
            losses = []
            for _ in range(updates // quantum):
                state, loss = compiled(state, x, y, next(turns))
                losses.append(loss)
            jax.block_until_ready(state)
            return losses

        def first(updates: int) -> np.ndarray:
            whole = -(-updates // quantum) * quantum
            return np.ravel(run(whole))[:updates]

        return Candidate(name, first, run, quantum)

    batches = list(jnp.asarray(problem.indices))
    stretches = list(jnp.asarray(problem.indices).reshape(-1, task.stretch, task.batch))
    return [
        candidate("JAX jit per step", update, batches, 1),
        candidate("JAX jit + scan", scan, stretches, task.stretch),
    ]


def sweep(work: Sweep, count: int, width: int, threads: int) -> Train:
    """``width`` models in one vmap + scan, and the groups one after the other on each thread."""
    adam = optax.scale_by_adam()
    x, y = jnp.asarray(work.x), jnp.asarray(work.y)
    gradient = jax.value_and_grad(partial(_loss, activation="relu", classes=True))

    def train(weights: Tree, rate: jax.Array, rows: jax.Array) -> tuple[Tree, jax.Array]:
        def update(state: Tree, rows: jax.Array) -> tuple[Tree, jax.Array]:
            weights, slots = state
            loss, g = gradient(weights, _rows(x, rows), _rows(y, rows))
            change, slots = adam.update(g, slots)
            return (jax.tree.map(lambda w, c: w - rate * c, weights, change), slots), loss

        (weights, _), losses = jax.lax.scan(update, (weights, adam.init(weights)), rows)
        return weights, losses

    compiled = jax.jit(jax.vmap(train))
    groups = []
    for start in range(0, count, width):
        group = slice(start, min(start + width, count))
        weights = [_weights(layers) for layers in work.layers[group]]
        stacked = jax.tree.map(lambda *arrays: jnp.stack(arrays), *weights)
        groups.append((stacked, jnp.asarray(work.rates[group]), jnp.asarray(work.indices[group])))

    def run() -> np.ndarray:
        with ThreadPoolExecutor(threads) as pool:
            done = pool.map(lambda group: jax.block_until_ready(compiled(*group)), groups)
            return np.concatenate([losses for _, losses in done])

    return run
