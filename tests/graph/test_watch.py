"""Watch: every place from which a function can read something of Python's is seen to change."""

import dataclasses
import enum
import functools
import threading
from collections import deque, namedtuple
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

import gradlab as gl
from gradlab import nn, optim
from gradlab.graph import Spec, trace
from gradlab.graph.watch import COPIED, Watch
from gradlab.train import Trainer, fit
from gradlab.train.callbacks import Callback
from gradlab.train.evaluate import Evaluator

STRENGTH = 2.0
SETTINGS = ModuleType("settings_of_a_user")
SETTINGS.strength = 2.0
PLACES = {}


def place(make):
    """Each gives a function that doubles, and one that sets by how much it multiplies."""
    PLACES[make.__name__] = make
    return make


@place
def closure():
    strength = 2.0

    def change(value):
        nonlocal strength
        strength = value

    return lambda x: x * strength, change


@place
def global_number():
    def change(value):
        global STRENGTH
        STRENGTH = value

    change(2.0)
    return lambda x: x * STRENGTH, change


@place
def module_of_the_user():
    SETTINGS.strength = 2.0
    return lambda x: x * SETTINGS.strength, lambda value: setattr(SETTINGS, "strength", value)


def _helper(x):
    return x * STRENGTH


@place
def global_through_a_helper():
    return lambda x: _helper(x), global_number()[1]


@place
def default():
    def function(x, strength=2.0):
        return x * strength

    return function, lambda value: setattr(function, "__defaults__", (value,))


@place
def default_by_name():
    def function(x, *, strength=2.0):
        return x * strength

    return function, lambda value: function.__kwdefaults__.update(strength=value)


@place
def default_that_is_mutable():
    settings = [2.0]

    def function(x, settings=settings):
        return x * settings[0]

    return function, lambda value: settings.__setitem__(0, value)


@place
def attribute_of_a_function():
    def function(x):
        return x * function.strength

    function.strength = 2.0
    return function, lambda value: setattr(function, "strength", value)


class Scale:
    offset = 0.0

    def __init__(self, strength):
        self.strength = strength
        self.inner = SimpleNamespace(strength=strength)

    def __call__(self, x):
        return x * self.strength

    def method(self, x):
        return x * self.strength

    def nested(self, x):
        return x * self.inner.strength

    def by_name(self, x):
        return x * getattr(self, "str" + "ength")

    @property
    def half(self):
        return self.strength / 2

    def through_a_property(self, x):
        return x * self.half * 2


@place
def attribute_of_an_object():
    scale = Scale(2.0)
    return scale, lambda value: setattr(scale, "strength", value)


@place
def attribute_of_a_methods_object():
    scale = Scale(2.0)
    return scale.method, lambda value: setattr(scale, "strength", value)


@place
def attribute_of_an_attribute():
    scale = Scale(2.0)
    return scale.nested, lambda value: setattr(scale.inner, "strength", value)


@place
def object_that_is_replaced():
    scale = Scale(2.0)
    return scale.nested, lambda value: setattr(scale, "inner", SimpleNamespace(strength=value))


@place
def attribute_by_name():
    scale = Scale(2.0)
    return scale.by_name, lambda value: setattr(scale, "strength", value)


@place
def property_of_an_object():
    scale = Scale(2.0)
    return scale.through_a_property, lambda value: setattr(scale, "strength", value)


@place
def attribute_of_a_class():
    class Fixed:
        strength = 2.0

        def __call__(self, x):
            return x * self.strength

    return Fixed(), lambda value: setattr(Fixed, "strength", value)


@place
def attribute_before_that_of_a_class():
    class Fixed:
        strength = 2.0

        def __init__(self):
            self.other = 1.0

        def __call__(self, x):
            return x * self.strength * self.other

    fixed = Fixed()
    return fixed, lambda value: setattr(fixed, "strength", value)


@place
def attribute_in_a_slot():
    class Slim:
        __slots__ = ("strength",)

        def __call__(self, x):
            return x * self.strength

    slim = Slim()
    slim.strength = 2.0
    return slim, lambda value: setattr(slim, "strength", value)


@place
def method_that_is_replaced():
    class Fixed:
        def strength(self):
            return 2.0

        def __call__(self, x):
            return x * self.strength()

    return Fixed(), lambda value: setattr(Fixed, "strength", lambda self: value)


@place
def static_method():
    settings = {"strength": 2.0}

    class Fixed:
        @staticmethod
        def strength():
            return settings["strength"]

        def __call__(self, x):
            return x * self.strength()

    return Fixed(), lambda value: settings.update(strength=value)


@place
def field_of_a_dataclass():
    @dataclasses.dataclass
    class Settings:
        strength: float = 2.0

    settings = Settings()
    return lambda x: x * dataclasses.astuple(settings)[0], lambda value: setattr(
        settings, "strength", value
    )


@place
def element_of_a_list():
    parts = [1.0, 2.0]
    return lambda x: x * parts[-1], lambda value: parts.__setitem__(1, value)


@place
def list_that_grows():
    parts = [2.0]
    return lambda x: x * parts[-1], parts.append


@place
def element_of_a_deque():
    parts = deque([2.0], maxlen=1)
    return lambda x: x * parts[-1], parts.append


@place
def value_of_a_dict():
    settings = {"a": {"strength": 2.0}}
    return lambda x: x * settings["a"]["strength"], lambda v: settings["a"].update(strength=v)


@place
def key_of_a_dict():
    terms = {2.0: 1.0}

    def change(value):
        terms.clear()
        terms[value] = 1.0

    return lambda x: x * sum(terms), change


@place
def set_of_numbers():
    terms = {2.0}

    def change(value):
        terms.clear()
        terms.add(value)

    return lambda x: x * sum(terms), change


@place
def tuple_of_lists():
    terms = ([2.0], "text")
    return lambda x: x * terms[0][0], lambda value: terms[0].__setitem__(0, value)


@place
def named_tuple():
    Settings = namedtuple("Settings", "strength")
    nest = [Settings(2.0)]
    return lambda x: x * nest[0].strength, lambda value: nest.__setitem__(0, Settings(value))


@place
def array_in_place():
    array = np.array([2.0])
    return lambda x: x * float(array[0]), lambda value: array.fill(value)


@place
def view_of_an_array():
    array = np.zeros((3, 2))
    array[:, 1] = 2.0
    column = array[:, 1]
    return lambda x: x * float(column.max()), lambda value: array[:, 1].fill(value)


@place
def large_array_in_place():
    array = np.full(COPIED // 4, 2.0)
    return lambda x: x * gl.astype(gl.tensor(array)[7], "float32"), lambda v: array.fill(v)


@place
def number_of_numpy():
    settings = SimpleNamespace(strength=np.float32(2))
    return lambda x: x * float(settings.strength), lambda value: setattr(
        settings, "strength", np.float32(value)
    )


@place
def partial_of_a_function():
    settings = {"strength": 2.0}
    return functools.partial(lambda settings, x: x * settings["strength"], settings), (
        lambda value: settings.update(strength=value)
    )


@place
def keyword_of_a_partial():
    function = functools.partial(lambda x, strength: x * strength, strength=2.0)
    return function, lambda value: function.keywords.update(strength=value)


@place
def wrapped_function():
    function, change = closure()

    @functools.wraps(function)
    def wrapper(*args):
        return function(*args)

    return wrapper, change


@place
def function_within_a_function():
    settings = [2.0]

    def function(x):
        def inner():
            return sum(s for s in settings)

        return x * inner()

    return function, lambda value: settings.__setitem__(0, value)


@place
def enum_and_text():
    class Mode(enum.Enum):
        low, high = 2.0, 5.0

    settings = SimpleNamespace(mode=Mode.low, name="low", on=None)

    def change(value):
        settings.mode = Mode(value)
        settings.name = Mode(value).name

    return lambda x: x * settings.mode.value * (1.0 if settings.name else 0.0), change


@place
def flag():
    settings = SimpleNamespace(high=False)
    return lambda x: x * (5.0 if settings.high else 2.0), lambda value: setattr(
        settings, "high", value == 5.0
    )


@place
def attribute_of_a_module():
    class Layer(nn.Module):
        def __init__(self):
            self.strength = 2.0

        def forward(self, x):
            return x * self.strength

    layer = Layer()
    return layer, lambda value: setattr(layer, "strength", value)


@place
def part_of_a_module():
    class Layer(nn.Module):
        def __init__(self):
            self.parts = {"only": [Scale(2.0)]}

        def forward(self, x):
            for part in self.parts["only"]:
                x = part(x)
            return x

    layer = Layer()
    return layer, lambda value: layer.parts.update(only=[Scale(value)])


@place
def module_of_a_trace_within():
    settings = [2.0]
    inner = gl.compile(lambda x: x * settings[0], executor="numpy")
    return lambda x: inner(x), lambda value: settings.__setitem__(0, value)


@place
def function_of_a_gradient():
    settings = [2.0]
    slope = gl.grad(lambda x: (x * x * (settings[0] / 2)).sum())
    return lambda x: slope(x), lambda value: settings.__setitem__(0, value)


@pytest.fixture(params=PLACES.values(), ids=PLACES.keys())
def reading(request):
    return request.param()


@pytest.mark.parametrize("executor", ["numpy", "native"])
def test_compiled_functions(reading, executor):
    function, change = reading
    fast = gl.compile(function, executor=executor)
    x = np.ones(2, np.float32)
    for strength in (2.0, 5.0, 2.0, 5.0):
        change(strength)
        np.testing.assert_array_equal(fast(x), strength * x)
    assert len(fast._programs) == 1


def test_graphs(reading):
    function, change = reading
    graph = trace(function, Spec((2,)))
    assert graph.holds()
    change(5.0)
    assert not graph.holds()
    again = trace(function, Spec((2,)))
    assert again.holds()
    assert not again.matches(graph)
    assert again.matches(trace(function, Spec((2,))))


X = np.random.default_rng(0).normal(size=(12, 2)).astype(np.float32)


def trainer(loss, executor="numpy", model=None):
    model = nn.Linear(2, 1) if model is None else model
    model.load_state_dict({"weight": [[1.0, -1.0]], "bias": [0.5]})
    return Trainer(model, X, X[:, :1], loss, optim.Momentum(0.01), batch_size=4, executor=executor)


@pytest.mark.parametrize("executor", ["numpy", "native"])
def test_updates_from_the_next_one_on(reading, executor):
    function, change = reading

    def loss(output, y):
        return function(nn.mse_loss(output, y))

    changing = trainer(loss, executor)
    for strength in (2.0, 5.0, 2.0):
        change(strength)
        state = changing.state()
        fresh = trainer(lambda o, y, s=strength: s * nn.mse_loss(o, y), executor)
        fresh.restore(state)
        expected, record = fresh.advance(4), changing.advance(4)
        np.testing.assert_allclose(record.loss, expected.loss, rtol=1e-6)
        for name, value in fresh.state().items():
            np.testing.assert_allclose(changing.state()[name], value, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(
            changing.evaluate(X, X[:, :1])["loss"],
            fresh.evaluate(X, X[:, :1])["loss"],
            rtol=1e-6,
        )


def test_evaluation_and_fit(reading):
    function, change = reading

    class Model(nn.Module):
        def __init__(self):
            self.linear, self.function = nn.Linear(2, 1), function

        def forward(self, x):
            return self.function(self.linear(x))

    class Change(Callback):
        def on_epoch(self, training, row):
            change(5.0)

    model = Model()
    evaluator = Evaluator(model, "numpy")
    plain = model.linear(X).numpy()
    for strength in (2.0, 5.0, 2.0):
        change(strength)
        np.testing.assert_allclose(evaluator.predict(X), strength * plain, rtol=1e-6)
    options = {"loss": nn.mse_loss, "validation": (X, X[:, :1]), "progress": False, "epochs": 2,
               "batch_size": 4}  # fmt: skip
    history = fit(
        model, (X, X[:, :1]), optimizer=optim.SGD(0.0), callbacks=[Change()], executor="numpy",
        **options,
    )  # fmt: skip
    losses = [float(nn.mse_loss(s * plain, X[:, :1])) for s in (2.0, 5.0)]
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-5)
    np.testing.assert_allclose(history["validation_loss"], losses, rtol=1e-5)


def test_whether_variables_are_trainable():
    """Also of those that were not read because they were not."""
    model = nn.MLP((2, 3, 1))
    model[0].weight.trainable = False
    penalty = gl.compile(lambda: sum((p**2).sum() for p in model.parameters()), executor="numpy")
    frozen = penalty().item()
    model[0].weight.trainable = True
    assert penalty().item() == pytest.approx(frozen + float((model[0].weight ** 2).sum()))
    model[0].weight.trainable = False
    assert penalty().item() == frozen


# --- what does not count ----------------------------------------------------------------------


def test_what_a_function_does_not_read_does_not_count():
    class Loss:
        def __init__(self):
            self.strength, self.data, self.calls = 2.0, np.zeros(COPIED), 0

        def __call__(self, x):
            return x * self.strength

    loss = Loss()
    graph = trace(loss, Spec())
    loss.calls += 1
    loss.data[:] = 1
    assert graph.holds()
    loss.strength = 2.0 + 0.0  # equal, by value
    assert graph.holds()


def test_a_program_is_kept_if_the_computation_is_the_same():
    class Loss(nn.Module):
        def __init__(self):
            self.strength, self.calls = 2.0, 0

        def forward(self, x):
            return x * self.strength

    loss = Loss()
    fast = gl.compile(loss, executor="numpy")
    program = fast.program(1.0)
    for _ in range(20):
        loss.calls += 1
        assert fast.program(1.0) is program
    (known,) = fast._programs.values()
    assert len(known._known) <= 4
    loss.strength = 3.0
    assert fast.program(1.0) is not program
    loss.strength = 2.0
    assert fast.program(1.0) is program


def test_what_a_function_changes_itself_does_not_count():
    calls, cache = [], {}
    count = 0

    class Layer(nn.Module):
        total = 0

        def forward(self, x):
            nonlocal count
            count += 1
            Layer.total += 1
            calls.append(x)
            self.last = x
            cache[x.shape] = cache.get(x.shape, 0) + 1
            return x * 2

    fast = gl.compile(Layer(), executor="numpy")
    for shape in [(1,), (2,), (1,), (2,), (1,)]:
        fast(np.ones(shape))
    assert len(calls) == count == Layer.total == 2


@pytest.mark.parametrize(
    ("before", "after"),
    [(0.0, -0.0), (1, True), (1, 1.0), (np.float32(1), np.float64(1)), ("1", 1), (None, 0)],
    ids=repr,
)
def test_numbers_count_by_type_and_bits(before, after):
    settings = {"strength": before}
    watch = Watch(lambda: settings)
    settings["strength"] = after
    assert not watch.holds()
    settings["strength"] = before
    assert watch.holds()


def test_nan_is_itself():
    settings = [float("nan")]
    watch = Watch(lambda: settings)
    settings[0] = float("nan")
    assert watch.holds()


def test_odd_objects():
    """Circles, empty cells, locks and objects that answer every question."""

    class Anything:
        def __getattr__(self, name):
            raise RuntimeError(name)

    circle = []
    circle.append(circle)
    odd = [circle, Anything(), threading.Lock(), object(), iter([1]), np.random.default_rng(0)]

    def function(x):
        if x is None:
            return empty
        return odd

    watch = Watch(function)
    assert watch.holds()
    empty = 1
    assert not watch.holds()


def test_large_constants_are_compared_where_they_can_be_reached():
    mask = np.ones(COPIED // 8 + 1)
    graph = trace(lambda x: x * mask, Spec(mask.shape, np.float64))
    assert graph.holds()
    mask[3] = 0
    assert not graph.holds()
    passing = trace(lambda x: x * np.ones(COPIED), Spec((COPIED,), np.float64))
    assert len(passing.guards) == 1 + 1
    assert passing.holds()


@pytest.mark.parametrize(
    "other",
    [
        lambda x, w, v: (w * x, x.sum()),
        lambda x, w, v: (v * x, x.sum()),
        lambda x, w, v: (w * x, x.sum(axis=0, keepdims=True)),
        lambda x, w, v: (w * x, x.max()),
        lambda x, w, v: (x * w, x.sum()),
        lambda x, w, v: [w * x, x.sum()],
        lambda x, w, v: (w * x, x.sum() * 1.0),
        lambda x, w, v: w.assign(w * x) or (w.read(), x.sum()),
        lambda x, w, v: (w * x, x.sum(), 2.0),
    ],
)
def test_other_graphs_do_not_match(other):
    w, v = gl.Variable([1.0, 2.0], name="w"), gl.Variable([1.0, 2.0], name="w")
    functions = [lambda x: (w * x, x.sum()), lambda x: other(x, w, v)]
    first, second = (trace(f, Spec((2,), name="x")) for f in functions)
    same = str(first) == str(second) and all(
        a is b for (a, _), (b, _) in zip(first.captured, second.captured, strict=True)
    )
    assert first.matches(second) == (same and type(first.structure) is type(second.structure))
    assert not first.matches(trace(functions[0], Spec((2,), np.float64, name="x")))
