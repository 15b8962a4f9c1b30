"""Random graphs of hundreds of nodes over all rows, whose every step is valid.

    case = Case(seed, exact=False)
    program(case.graph).run(case.inputs, case.state)

The graph of an *exact* case has small whole numbers only, of which every sum is exact in any order.
What is not whole is rounded, and only if it is far from the middle between two whole numbers.
"""

import math

import numpy as np

import gradlab as gl
from gradlab.graph import OPS, Spec, Symbol, Variable, trace
from gradlab.graph.tensor import active
from tests.execute.native.bounds import TRANSCENDENTAL
from tests.graph.samples import key as random_key

NODES = 220
SMALL = ("int8", "uint8", "int16", "uint16", "uint32", "uint64")
LARGEST = 1500
"""Elements of a tensor."""


class Grower:
    """A random graph that grows inside a trace, with NumPy's value of each node beside it.

    The values say what may come next: whole numbers that are still small, a shape that fits.
    """

    def __init__(self, rng, exact):
        self.rng, self.exact = rng, exact
        self.values = {}
        self.seen = 0
        self.pool = []
        self.stream = None

    # --- choosing ---

    def value(self, x):
        """NumPy's value of a traced tensor, or of a constant."""
        nodes = active.trace.nodes
        for node in nodes[self.seen :]:
            inputs = [self.values.get(id(i)) if isinstance(i, Symbol) else i.value
                      for i in node.inputs]  # fmt: skip
            with np.errstate(all="ignore"):
                self.values[id(node)] = np.asarray(node.op.forward(np, *inputs, **node.params))
        self.seen = len(nodes)
        return self.values[id(x)] if isinstance(x, Symbol) else x.value

    def one(self, kinds="f", fits=lambda x: True):
        """A tensor made before, mostly a late one; None if there is none that fits."""
        found = [x for x in self.pool if x.dtype.kind in kinds and fits(x)]
        if not found:
            return None
        late = self.rng.random() < 0.6
        return found[int(self.rng.integers(max(0, len(found) - 12) if late else 0, len(found)))]

    def with_size(self, kinds="f"):
        return self.one(kinds, lambda x: x.size and x.ndim)

    def partner(self, x, kinds="f"):
        """A tensor that broadcasts with x to something not too large."""

        def fits(y):
            try:
                return math.prod(np.broadcast_shapes(x.shape, y.shape)) <= LARGEST
            except ValueError:
                return False

        return self.one(kinds, fits)

    def choose(self, names):
        return str(self.rng.choice(sorted(names)))

    # --- keeping numbers in range ---

    def tame(self, x, limit=5):
        """Whole numbers of at most that size, or real numbers of about that."""
        value = self.value(x)
        if x.dtype.kind not in "fiu" or x.size == 0:
            return x
        with np.errstate(all="ignore"):
            largest = np.abs(value.astype(float)).max()
        if largest <= limit:  # false for NaN
            return x
        if not np.isfinite(largest):
            # NaN and infinities are what the bounds are tested with, but not for ever.
            return gl.where(gl.isfinite(x), gl.clip(x, -limit, limit), 0.5)
        if not self.exact and x.dtype.kind == "f":
            return x * (limit / largest)
        return gl.remainder(x, limit) if x.dtype.kind == "u" else gl.remainder(x, limit) - 2

    def add(self, x):
        """Take a new tensor into the pool, if the next rows can go on from it."""
        if x is None:
            return
        if self.exact and x.dtype.kind == "f":
            value = self.value(x)
            if not np.isfinite(value).all():
                return
            if (value != np.round(value)).any():
                value = 4 * value
                if (np.abs(value - np.floor(value) - 0.5) < 1e-3).any():
                    return  # rounding would tell NumPy's last place from ours
                x = gl.round(x * 4)
        limit = 64 if self.exact else 1e3
        self.pool.append(x if self.rng.random() < 0.05 and not self.exact else self.tame(x, limit))

    # --- rows ---

    def unary(self):
        names = [n for n in OPS if len(OPS[n].domain) == 1 and hasattr(gl, n)]
        name = self.choose(names)
        kinds = "f" if name in TRANSCENDENTAL | {"sqrt", "isfinite", "relu"} else "fi"
        x = self.one(kinds)
        if x is None:
            return None
        domain = OPS[name].domain[0]
        inside = self.value(x)
        if not self.exact and self.rng.random() < 0.9 and inside.size:
            with np.errstate(all="ignore"):
                if not ((inside >= domain.low) & (inside <= domain.high)).all():
                    middle, half = (domain.low + domain.high) / 2, (domain.high - domain.low) / 2
                    x = gl.sin(x) * half + middle
        elif self.exact:
            x = self.tame(x)
        return getattr(gl, name)(x)

    def binary(self):
        name = self.choose(["add", "subtract", "multiply", "divide", "maximum", "minimum",
                            "floor_divide", "remainder", "pow", "equal", "not_equal", "less",
                            "less_equal", "greater", "greater_equal", "atan2"])  # fmt: skip
        x = self.one("fiu")
        y = self.partner(x, "fiu")
        if y is None:
            return None
        x, y = self.tame(x, 30), self.tame(y, 30)
        if name == "pow":
            x, y = gl.abs(x), gl.remainder(y, 3)
        if self.exact and name in ("divide", "floor_divide", "remainder"):
            y = gl.where(gl.equal(y, 0), 4, y)
        return getattr(gl, name)(x, y)

    def number(self):
        x = self.one("fi")
        number = int(self.rng.integers(1, 4))
        number = number if self.exact or self.rng.random() < 0.5 else number / 3
        name = self.choose(["add", "multiply", "subtract", "maximum", "less"])
        pair = (x, number) if self.rng.random() < 0.5 else (number, x)
        return getattr(gl, name)(*pair)

    def truth(self):
        x = self.one("b")
        y = x is not None and self.partner(x, "bi")
        if x is None or y is None:
            return None
        name = self.choose(["logical_and", "logical_or", "logical_not", "add", "multiply", "equal"])
        return gl.logical_not(x) if name == "logical_not" else getattr(gl, name)(x, y)

    def choice(self):
        x = self.one("fi")
        y = self.partner(x, "fi")
        condition = y is not None and self.partner(x, "b")
        if condition is None or condition is False:
            return None
        try:
            size = math.prod(np.broadcast_shapes(x.shape, y.shape, condition.shape))
        except ValueError:
            return None
        return gl.where(condition, x, y) if size <= LARGEST else None

    def cast(self):
        x = self.one("fiub")
        if x is None:
            return None
        kind = self.choose(["float32", "float64", "int64", "int32", "bool", *SMALL])
        if kind[0] == "u":
            x = gl.abs(self.tame(x)) if x.dtype.kind != "b" else x
        elif x.dtype.kind == "f" and kind[0] == "i":
            x = self.tame(x, 1e3 if not self.exact else 64)
            if not np.isfinite(self.value(x)).all():
                return None
        return gl.astype(x, kind)

    def view(self):
        x = self.one("fiub")
        kind = self.rng.integers(6)
        if kind == 0:
            return gl.permute_dims(x, [int(a) for a in self.rng.permutation(x.ndim)])
        if kind == 1:
            return gl.reshape(x, (-1,)) if x.size else x
        if kind == 2:
            lengths = [n for n in x.shape for n in ((n, 1) if self.rng.random() < 0.3 else (n,))]
            return gl.reshape(x, lengths)
        if kind == 3 and x.size <= LARGEST // 3:
            return gl.broadcast_to(x, (int(self.rng.integers(1, 4)), *x.shape))
        if kind == 4 and x.ndim:
            return gl.flip(x, int(self.rng.integers(x.ndim)))
        return gl.identity(x) if self.rng.random() < 0.5 else gl.stop_gradient(x)

    def index(self):
        x = self.one("fiub")
        picked = random_key(self.rng, x.shape)
        made = np.empty(x.shape)[picked]
        return gl.index(x, picked) if made.size <= LARGEST else None

    def index_by_tensors(self):
        """Rows picked by whole numbers that the program itself finds; and added back."""
        x = self.with_size()
        numbers = self.one("i", lambda i: i.ndim <= 1)
        if x is None or numbers is None or numbers.size * x.size > LARGEST * x.shape[0]:
            return None
        rows = gl.remainder(numbers, x.shape[0])
        picked = gl.index(x, rows)
        if self.rng.random() < 0.5:
            return picked
        return gl.index_add(x.shape, rows, picked)

    def numbers(self, shape, count):
        """Positions along an axis of so many, as the program finds them or as constants."""
        x = self.one("iu", lambda x: x.size and x.shape == shape and x.dtype != np.uint64)
        if x is None or self.rng.random() < 0.5:
            low = -count if self.rng.random() < 0.5 else 0
            return gl.tensor(self.rng.integers(low, count, shape))
        x = gl.remainder(gl.astype(x, "int64"), count)
        kind = self.choose(["int64", "int32", "int8", "uint8", "uint64"])
        return gl.astype(x, kind) if count < 100 else x

    def picks(self, x):
        """Index arrays for the first two axes of a tensor, one of which may count its rows."""
        n, m = x.shape[:2]
        rows = np.arange(n)
        if self.rng.random() < 0.3:
            rows = self.rng.integers(-n, n, n)
        kind = self.rng.integers(4)
        if kind == 0:  # every row with every column
            return gl.tensor(rows[:, None]), self.numbers((n,), m)
        if kind == 1:
            return gl.tensor(rows[:, None]), self.numbers((n, 1), m)
        return gl.tensor(rows), self.numbers((n,), m)

    def picked(self):
        """One element for each row, its adjoint, and a product with something else."""
        x = self.one("fiub", lambda x: x.size and x.ndim >= 2)
        if x is None or x.shape[0] * x.size > LARGEST:
            return None
        key = self.picks(x)
        picked = gl.index(x, key)
        self.add(picked)
        if self.rng.random() < 0.3:
            picked = gl.broadcast_to(gl.astype(1, x.dtype), picked.shape[-1:])
        back = gl.index_add(x.shape, key, picked)
        scale = self.rng.integers(1, 4, (x.shape[0],) + (1,) * (x.ndim - 1))
        return back * gl.astype(scale, x.dtype)

    def along_rows(self):
        x = self.with_size("fi")
        if x is None:
            return None
        axis = int(self.rng.integers(x.ndim))
        shape = list(x.shape)
        shape[axis] = int(self.rng.integers(1, 3))
        return gl.take_along_axis(x, self.numbers(tuple(shape), x.shape[axis]), axis)

    def letters(self, x):
        """x as an einsum of itself: axes of equal length may share a letter, some are summed."""
        names = {}
        text = ""
        for length in x.shape:
            known = names.setdefault(length, [])
            if not known or self.rng.random() < 0.4:
                known.append("abcdef"[sum(map(len, names.values()))])
            text += str(self.rng.choice(known))
        kept = [c for c in dict.fromkeys(text) if self.rng.random() < 0.7]
        return f"{text}->{''.join(self.rng.permutation(kept))}"

    def summed(self):
        x = self.one("f", lambda x: 2 <= x.ndim <= 4)
        return None if x is None else gl.einsum(self.letters(x), self.tame(x))

    def batched(self):
        """Products of matrices along batch axes, of length 1 too."""
        x = self.one("f", lambda x: x.ndim >= 3)
        if x is None:
            return None
        y = self.one("f", lambda y: y.ndim >= 2 and x.shape[-1] in y.shape[-2:])
        if y is None:
            return None
        turned = y.shape[-2] != x.shape[-1]
        try:
            batch = math.prod(np.broadcast_shapes(x.shape[:-2], y.shape[:-2]))
        except ValueError:
            return None
        if batch * x.shape[-2] * y.shape[-2 if turned else -1] * max(x.shape[-1], 1) > 4 * LARGEST:
            return None
        return gl.matmul(self.tame(x), self.tame(y), False, turned)

    def emptied(self):
        """Rows of tensors without elements."""
        x = self.one("fi", lambda x: x.size == 0 and x.ndim)
        if x is None:
            return None
        axis = int(self.rng.integers(x.ndim))
        kind = self.rng.integers(6)
        if kind == 0:
            name = self.choose(["sum", "any", "all", "prod", "logsumexp"])
            if name == "logsumexp" and x.dtype.kind != "f":
                return None
            if name in ("prod", "logsumexp") and x.shape[axis] == 0:
                return None  # of nothing it is an error
            return getattr(gl, name)(x, axis, keepdims=bool(self.rng.integers(2)))
        if kind == 1:
            return getattr(gl, self.choose(["cumsum", "sort", "argsort"]))(x, axis)
        if kind == 2:
            return gl.pad(x, ((1, 0),) * x.ndim)
        if kind == 3 and x.ndim == 2 and x.dtype.kind == "f":
            return gl.matmul(x, x, True, False)
        if kind == 4:
            return gl.take(x, np.zeros(0, np.int64), axis)
        return gl.flip(x, axis)

    def adjoint(self):
        """The gradient of a row that moves, picks or sums numbers; of adjoints too."""
        x = self.one("f", lambda x: x.ndim and 0 < x.size <= LARGEST // 8)
        if x is None:
            return None
        x = self.tame(x)
        axis = int(self.rng.integers(x.ndim))
        key = random_key(self.rng, x.shape)
        moves = [
            lambda x: gl.index(x, key),
            lambda x: gl.sum(x, axis),
            lambda x: gl.max(x, axis, keepdims=True),
            lambda x: gl.cumsum(x, axis),
            lambda x: gl.sort(x, axis),
            lambda x: gl.concat([x, x * 2], axis),
            lambda x: gl.pad(x, ((1, 0),) * x.ndim),
            lambda x: gl.roll(x, 1, axis),
            lambda x: gl.repeat(x, 2, axis),
            lambda x: gl.expand_dims(x, axis) * 3,
            lambda x: gl.prod(gl.sign(x), axis),
        ]
        if x.ndim >= 2:
            picks, text = self.picks(x), self.letters(x)
            moves += [lambda x: gl.index(x, picks), lambda x: gl.einsum(text, x)] * 3
        move = moves[int(self.rng.integers(len(moves)))]
        twice = self.rng.random() < 0.3

        def loss(x):
            y = move(x)
            return (y * y if self.exact else y * gl.sin(y)).sum()

        gradient = gl.grad(loss)(x)
        if twice:
            gradient = gl.grad(lambda x: (gl.grad(loss)(x) * x).sum())(x)
        scale = self.rng.integers(1, 4, (x.shape[0],) + (1,) * (x.ndim - 1))
        return gradient * gl.astype(scale, x.dtype)

    def joined(self):
        x = self.one("f")
        y = self.one("f", lambda y: y.shape == x.shape and y.dtype == x.dtype)
        if not x.ndim or 2 * x.size > LARGEST:
            return gl.stack([x, y]) if 2 * x.size <= LARGEST else None
        axis = int(self.rng.integers(x.ndim))
        kind = self.rng.integers(5)
        if kind == 0:
            return gl.concat([x, y, x], axis) if 3 * x.size <= LARGEST else gl.concat([y, x], axis)
        if kind == 1:
            widths = ((1, 1),) * x.ndim
            return gl.pad(x, widths) if math.prod(n + 2 for n in x.shape) <= LARGEST else None
        if kind == 2:
            return gl.roll(x, 2, axis)
        if kind == 3:
            return gl.tile(x, (2,) + (1,) * (x.ndim - 1))
        return gl.repeat(x, 2, axis)

    def reduced(self):
        x = self.with_size("fib")
        if x is None:
            return None
        count = int(self.rng.integers(1, x.ndim + 1))
        axis = tuple(int(a) for a in self.rng.choice(x.ndim, count, replace=False))
        name = self.choose(["sum", "max", "min", "mean", "any", "all", "logsumexp", "norm", "var",
                            "prod", "sum", "max"])  # fmt: skip
        if name == "prod":
            x = gl.sign(x) if x.dtype.kind != "b" else x
        return getattr(gl, name)(x, axis, keepdims=bool(self.rng.integers(2)))

    def along(self):
        x = self.with_size("fi")
        if x is None:
            return None
        axis = int(self.rng.integers(x.ndim))
        names = ["argmax", "argmin", "argsort", "sort", "cumsum", "log_softmax", "softmax"]
        name = self.choose(names)
        if name.startswith("arg") and not self.exact and x.dtype.kind == "f":
            x = gl.round(x)  # ties
        return getattr(gl, name)(x, axis)

    def product(self):
        x = self.one("f", lambda x: x.ndim >= 1)
        if x is None:
            return None
        x = self.tame(x)
        turned = x.ndim == 2 and self.rng.random() < 0.4
        inner = x.shape[0 if turned else -1]
        y = self.one("f", lambda y: y.ndim in (1, 2) and inner in y.shape)
        if y is None:
            return None
        y = self.tame(y)
        turn_y = y.ndim == 2 and y.shape[0] != inner
        rows = math.prod(x.shape) // max(inner, 1)
        if rows * (y.size // max(inner, 1)) > LARGEST:
            return None
        return gl.matmul(x, y, turned, turn_y)

    def slid(self):
        """Windows over the last axes, reduced, or added up again."""
        x = self.with_size("fi")
        if x is None:
            return None
        rank = int(self.rng.integers(1, min(x.ndim, 2) + 1))
        size = [int(self.rng.integers(1, min(n, 3) + 1)) for n in x.shape[-rank:]]
        stride = size if self.rng.random() < 0.5 else [1] * rank
        made = gl.windows(x, size, stride)
        if made.size > LARGEST:
            return None
        if self.rng.random() < 0.4:
            return gl.max(made, tuple(range(-rank, 0)))
        params = {"lengths": x.shape[-rank:], "stride": tuple(stride), "dilation": (1,) * rank}
        return gl.apply(OPS["fold"], (made,), params) if self.rng.random() < 0.6 else made

    def convolved(self):
        """Matrices as images and kernels of one channel, or of as many as they have rows."""
        x = self.one("f", lambda x: x.ndim == 2 and x.size)
        w = self.one("f", lambda w: w.ndim == 2 and w.size and w.size <= 32)
        if x is None or w is None:
            return None
        x, w = self.tame(x), self.tame(w)
        channels = x.shape[0] == w.shape[0] and self.rng.random() < 0.5
        x, w = (gl.reshape(m, (1, *m.shape) if channels else (1, 1, *m.shape)) for m in (x, w))
        pads = [(n, n) for n in w.shape[2:]]
        with gl.GradientTape() as tape:
            tape.watch([x, w])
            y = gl.conv(x, w, int(self.rng.integers(1, 3)), pads)
            total = (y * gl.stop_gradient(self.tame(y))).sum()
        if y.size > LARGEST:
            return None
        for g in tape.gradient(total, [x, w]):
            self.add(g)
        return y

    def random(self):
        shape = tuple(int(n) for n in self.rng.integers(1, 6, int(self.rng.integers(0, 4))))
        if self.exact:
            return gl.floor(self.stream.uniform(shape) * 8)
        kind = self.rng.integers(3)
        if kind == 0:
            return gl.astype(gl.remainder(self.stream.bits(shape), np.uint32(1000)), "int64")
        draw = self.stream.uniform if kind == 1 else self.stream.normal
        return draw(shape, self.choose(["float32", "float64"]))

    def gradient(self):
        """The rules of all rows between some tensors and a sum of late ones."""
        sources = [x for x in self.pool if x.dtype == np.float32 and x.ndim == 2][:2]
        if self.exact or not sources:
            return None

        def layer(x):
            return gl.tanh(x @ np.ones((x.shape[1], 2), np.float32))

        with gl.GradientTape() as tape:
            tape.watch(sources)
            parts = [gl.checkpoint(layer)(x) for x in sources]
            total = gl.relu(parts[0]).sum() + gl.softplus(parts[-1]).sum()
        for g in tape.gradient(total, sources):
            self.add(g)
        return total

    MOVES = (
        *((unary, 5), (binary, 6), (number, 2), (truth, 1), (choice, 2), (cast, 1.5), (view, 3)),
        *((index, 2), (index_by_tensors, 1), (joined, 1.5), (reduced, 3), (along, 2)),
        *((product, 2), (random, 0.7), (gradient, 0.2), (slid, 1), (convolved, 0.5)),
        *((picked, 1.5), (along_rows, 0.7), (summed, 1), (batched, 0.7), (emptied, 0.7)),
        (adjoint, 1.5),
    )

    def grow(self, count):
        """Rows until there are so many nodes."""
        moves, weights = zip(*self.MOVES, strict=True)
        chances = np.array(weights) / sum(weights)
        while len(active.trace.nodes) < count:
            self.add(moves[int(self.rng.choice(len(moves), p=chances))](self))


def arrays(rng, exact):
    """Numbers to begin with: shapes that meet in products, of length 0 and 1 too."""
    made = []
    lengths = [1, 3, 4, 5, 7] if rng.random() < 0.5 else [1, 5, 17, 32]
    for dtype in ("float32", "float32", "float64", "float32", "float64"):
        size = tuple(int(n) for n in rng.choice(lengths, int(rng.integers(1, 3))))
        x = rng.integers(-5, 6, size) if exact else rng.normal(size=size)
        made.append(np.asarray(x, dtype))
    made.append(np.zeros((0, 3), np.float32))
    made.append(np.asarray(rng.integers(-3, 4, (4, 5)), np.float32))
    made.append(np.asarray(rng.integers(-3, 9, (3, 4)), np.int64))
    made.append(np.asarray(rng.integers(0, 9, 5), np.uint8))
    made.append(rng.random((4, 5)) < 0.5)
    n, m = (int(k) for k in rng.integers(1, 5, 2))
    rare = [
        *((shape, "float32") for shape in ((n, m, 1), (m, 1, n), (1, 1), (n, n, 1), (1, m, n))),
        *((shape, "float64") for shape in ((n, m, 1, 1), (n, n), (3, 0), (0,), (2, 0, 1))),
        *((shape, "bool") for shape in ((n, 1), (n, m, 1), ())),
        *((shape, kind) for shape in ((n,), (n, m, 1), (n, 1)) for kind in ("int32", *SMALL)),
    ]
    for place in rng.choice(len(rare), 7, replace=False):
        shape, kind = rare[place]
        made.append(np.asarray(rng.integers(0, 5, shape), kind))
    return made


class Case:
    """A random graph, what goes in, and its Variables with their values."""

    def __init__(self, seed, exact, nodes=NODES):
        rng = np.random.default_rng(seed)
        self.inputs = arrays(rng, exact)
        numbers = arrays(rng, exact)
        self.variables = [Variable(x, name=f"v{i}") for i, x in enumerate(numbers)]
        twins = [Variable(x + x.dtype.type(1), name=f"twin{i}") for i, x in enumerate(numbers[:5])]
        stream = gl.RandomStream(seed)
        self.exact = exact

        def function(*symbols):
            grower = Grower(rng, exact)
            grower.stream = stream
            known = list(zip(symbols, self.inputs, strict=True))
            for v in (*self.variables, *twins, stream.key, stream.count):
                known.append((v.read(), v.held.value))
            grower.values = {id(symbol): value for symbol, value in known}
            words = {id(stream.key.read()), id(stream.count.read())}
            grower.pool = [symbol for symbol, _ in known if id(symbol) not in words]
            grower.pool.append(gl.tensor(np.arange(5) - 2.0, "float32"))
            grower.grow(nodes)
            self._assign(grower, twins, symbols)
            used = {id(x) for node in active.trace.nodes for x in node.inputs}
            kept = [x for x in grower.pool if id(x) not in used or rng.random() < 0.05]
            return [*kept, kept[-1], symbols[0], gl.tensor([1.0, 2.0])]

        with np.errstate(all="ignore"):  # what meets constants alone is computed at once
            self.graph = trace(function, *[Spec(x.shape, x.dtype) for x in self.inputs])
        self.state = [v.held.value for v, _ in self.graph.captured]

    def _assign(self, grower, twins, symbols):
        """Pairs exchanged; others become results, views of one another, constants and inputs."""
        for v, twin in zip(self.variables[:3], twins[:3], strict=True):
            a, b = v.read(), twin.read()
            v.assign(b)
            twin.assign(a)
        self.variables[3].assign(gl.zeros(self.variables[3].shape))
        self.variables[6].assign(gl.flip(self.variables[6].read(), 0))
        if self.variables[4].shape == symbols[4].shape:
            self.variables[4].assign(symbols[4])
        for v in self.variables[7:]:
            fits = [x for x in grower.pool if x.shape == v.shape and x.dtype == v.dtype]
            if fits:
                v.assign(fits[-1])
