"""Text written by the network of a run folder."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from gradlab.errors import ArgumentError
from gradlab.execute import compile
from gradlab.graph.dtypes import Array
from gradlab.nn.module import in_mode
from gradlab.seeding import stream
from gradlab.train.parts import input_shape, kind_of
from gradlab.train.prediction import TrainedNetwork


def sample(
    path: str | Path,
    length: int = 200,
    *,
    temperature: float = 1.0,
    prompt: str | None = None,
    seed: int = 0,
    executor: str = "native",
) -> str:
    """Let a network of text write on, a character at a time.

    P(c) ∝ exp(z_c / T), with the logits z for what comes after the characters so far, of which
    it sees the last ``block``.

    Args:
        path: of the run folder.
        length: characters to write, from 0 up.
        temperature: T from 0 up; lower is more certain, 0 takes the likeliest character.
        prompt: what it goes on from, a new line by default (or, in a text of one line, a space or
            its first character in order); not in the text that comes back.
        seed: of the draws.
        executor: what runs the network.

    Raises:
        RunError: this is no run folder, or it has no finished training.
        ArgumentError: a network of something else than text, a prompt that is empty or has a
            character that the training did not have, or a number out of its range.
    """
    network = TrainedNetwork.open(path)
    if kind_of(network.preprocess) != "text":
        raise ArgumentError(f"{path} has no network of text, and sample writes text")
    if length < 0 or not 0 <= temperature < math.inf:
        raise ArgumentError(
            f"length and temperature must be from 0 up, got {length} and {temperature:g}"
        )
    characters = [str(c) for c in getattr(network.preprocess.target, "classes", ())]
    if prompt is None:
        prompt = next((c for c in "\n " if c in characters), characters[0])
    unknown = sorted(set(prompt) - set(characters))
    if unknown or not prompt:
        what = f"has {unknown[0]!r}, which the training text has not" if unknown else "is empty"
        raise ArgumentError(f"the prompt {what}; give one of its characters or more")
    (block,) = input_shape(network.preprocess)
    written = [characters.index(c) for c in prompt]
    rng = stream(seed, "samp")
    forward = compile(network.model, executor)
    with in_mode(network.model, training=False):
        for _ in range(length):
            seen = written[-block:]
            window = np.zeros((1, block), network.preprocess.dtype)
            window[0, : len(seen)] = seen  # what lies behind a place is not seen from there
            logits = forward(window).numpy()[0, len(seen) - 1]
            written.append(_drawn(logits.astype(np.float64), temperature, rng))
    return "".join(characters[i] for i in written[len(prompt) :])


def _drawn(logits: Array, temperature: float, rng: np.random.Generator) -> int:
    """A number drawn by its logit; the largest one at temperature 0."""
    u = rng.random()
    if temperature == 0:
        return int(logits.argmax())
    weights = np.exp((logits - logits.max()) / temperature).cumsum()
    return int(np.searchsorted(weights, u * weights[-1], side="right"))
