"""Random numbers from a counter-based generator, the same bit for bit on every executor.

Threefry-2x32 with 20 rounds (Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3, 2011)
turns a key of two words and a counter of two words into two random words. The key is the stream,
the first counter word is the place within the tensor, the second counts the draws of the stream.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from gradlab.errors import DTypeError
from gradlab.graph.dtypes import FLOAT32, FLOAT64, UINT32, DType, check_dtype, default_dtype
from gradlab.graph.functions import log, sqrt
from gradlab.graph.op import Op, Shape, declare
from gradlab.graph.tensor import Like, Tensor, apply, as_tensor
from gradlab.graph.trigonometry import cos
from gradlab.graph.variable import Variable

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA


def threefry(xp: Any, key: Any, counter: Any) -> tuple[Any, Any]:
    """Two arrays of random words from (k₀, k₁) and two arrays of counters, all uint32.

    >>> zeros = np.zeros((2, 1), np.uint32)
    >>> [hex(w.item()) for w in threefry(np, zeros, zeros)]
    ['0x6b200159', '0x99ba4efe']
    """
    keys = (key[0], key[1], key[0] ^ key[1] ^ xp.uint32(PARITY))
    x0, x1 = counter[0] + keys[0], counter[1] + keys[1]
    for block in range(5):
        for turn in ROTATIONS[block % 2]:
            x0 = x0 + x1
            x1 = (x1 << xp.uint32(turn)) | (x1 >> xp.uint32(32 - turn))
            x1 = x1 ^ x0
        x0 = x0 + keys[(block + 1) % 3]
        x1 = x1 + keys[(block + 2) % 3] + xp.uint32(block + 1)
    return x0, x1


def _words(xp: Any, key: Any, draw: Any, count: int) -> tuple[Any, Any]:
    places = xp.arange(count, dtype=xp.uint32)
    ones = xp.ones(1, dtype=xp.uint32)  # arrays, because NumPy warns when a scalar wraps around
    return threefry(xp, key.reshape(2, 1), (places, draw * ones))


def _bits(xp: Any, key: Any, draw: Any, shape: Shape) -> Any:
    size = math.prod(shape)
    half = (size + 1) // 2
    x0, x1 = _words(xp, key, draw, half)
    return xp.concatenate([x0, x1])[:size].reshape(shape)


def _uniform(xp: Any, key: Any, draw: Any, shape: Shape, dtype: DType) -> Any:
    """As many leading bits as the dtype's significand holds, so that every value is exact."""
    if dtype == FLOAT32:
        bits = _bits(xp, key, draw, shape) >> xp.uint32(8)
        return bits.astype(xp.float32) * xp.float32(2.0**-24)
    x0, x1 = _words(xp, key, draw, math.prod(shape))
    high, low = (x0 >> xp.uint32(5)).astype(dtype), (x1 >> xp.uint32(6)).astype(dtype)
    return ((high * 2.0**26 + low) * 2.0**-53).reshape(shape)


RANDOM_BITS = declare(
    Op(
        "random_bits",
        forward=_bits,
        infer=lambda key, draw, shape: (shape, UINT32),
        vjps=(None, None),
        formula="random words of stream x, draw y",
    )
)
RANDOM_UNIFORM = declare(
    Op(
        "random_uniform",
        forward=_uniform,
        infer=lambda key, draw, shape, dtype: (shape, dtype),
        vjps=(None, None),
        formula="U[0, 1) of stream x, draw y",
    )
)


class RandomStream:
    """A stream of random numbers inside a graph; each draw moves it on by one.

    Args:
        seed: whole number, or a NumPy SeedSequence.

    Its two words of key and its counter are Variables, so that checkpoints hold them and compiled
    programs move them on.

    >>> stream = RandomStream(0)
    >>> stream.uniform((2,)).shape, int(stream.count)
    ((2,), 1)
    """

    def __init__(self, seed: int | np.random.SeedSequence = 0) -> None:
        self.key = Variable(np.zeros(2, np.uint32), trainable=False)
        self.count = Variable(np.zeros((), np.uint32), trainable=False)
        self.reseed(seed)

    def reseed(self, seed: int | np.random.SeedSequence) -> None:
        """Start another stream, at its beginning."""
        sequence = (
            seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
        )
        self.key.assign(sequence.generate_state(2, np.uint32))
        self.count.assign(np.zeros((), np.uint32))

    def _draw(self) -> tuple[Tensor, Tensor]:
        drawn = self.count.read()
        self.count.assign(drawn + np.ones((), np.uint32))
        return self.key.read(), drawn

    def bits(self, shape: Shape) -> Tensor:
        """Random words, uint32."""
        return random_bits(*self._draw(), shape)

    def uniform(self, shape: Shape, dtype: npt.DTypeLike | None = None) -> Tensor:
        """Uniform on [0, 1)."""
        return random_uniform(*self._draw(), shape, dtype)

    def normal(self, shape: Shape, dtype: npt.DTypeLike | None = None) -> Tensor:
        """Normal with mean 0 and variance 1."""
        return random_normal(*self._draw(), shape, dtype)


def random_bits(key: Like, draw: Like, shape: Shape) -> Tensor:
    """Random words of a stream: key of shape (2,) and draw of shape (), both uint32.

    >>> random_bits(np.zeros(2, np.uint32), np.uint32(0), (1,)).numpy().tolist() == [0x6B200159]
    True
    """
    return apply(RANDOM_BITS, _checked(key, draw), {"shape": tuple(shape)})


def random_uniform(
    key: Like, draw: Like, shape: Shape, dtype: npt.DTypeLike | None = None
) -> Tensor:
    """Uniform on [0, 1), exact multiples of 2⁻²⁴ (float32) or 2⁻⁵³ (float64).

    >>> x = random_uniform(np.zeros(2, np.uint32), np.uint32(0), (1000,))
    >>> 0.45 < float(x.mean()) < 0.55
    True
    """
    chosen = default_dtype() if dtype is None else check_dtype(dtype)
    if chosen not in (FLOAT32, FLOAT64):
        raise DTypeError(f"random numbers are float32 or float64, not {chosen}")
    return apply(RANDOM_UNIFORM, _checked(key, draw), {"shape": tuple(shape), "dtype": chosen})


def random_normal(
    key: Like, draw: Like, shape: Shape, dtype: npt.DTypeLike | None = None
) -> Tensor:
    """Normal with mean 0 and variance 1, √(−2 log u₁) cos(2π u₂) (Box & Muller, 1958).

    >>> x = random_normal(np.zeros(2, np.uint32), np.uint32(0), (1000,))
    >>> abs(float(x.mean())) < 0.1
    True
    """
    u = random_uniform(key, draw, (2, *shape), dtype)
    # 1 − u is never 0, so the logarithm is finite.
    return sqrt(-2.0 * log(1 - u[0])) * cos(2 * math.pi * u[1])


def _checked(key: Like, draw: Like) -> tuple[Tensor, Tensor]:
    key, draw = as_tensor(key), as_tensor(draw)
    if (key.shape, draw.shape) != ((2,), ()) or key.dtype != UINT32 or draw.dtype != UINT32:
        raise DTypeError(
            "random numbers need a key of shape (2,) and a draw of shape (), both uint32; "
            f"got {key.dtype} {key.shape} and {draw.dtype} {draw.shape}"
        )
    return key, draw
