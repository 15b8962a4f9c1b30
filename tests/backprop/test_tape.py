"""GradientTape: the lecture's example, and the semantics of TensorFlow's tape."""

import gc
import weakref
from contextlib import ExitStack

import numpy as np
import pytest

import gradlab as gl
from gradlab.errors import DTypeError, GradientError, ShapeError
from gradlab.graph import Op, apply, elementwise_shape
from gradlab.graph.tensor import active


def test_the_example_of_the_lecture():
    """y = (a + b)(b + 1) at a = 2, b = 1: ∂y/∂a = d = 2 and ∂y/∂b = c + d = 5."""
    a, b = gl.Variable([2.0]), gl.Variable([1.0])
    with gl.GradientTape(persistent=True) as tape:
        tape.watch(a)
        tape.watch(b)
        c = a + b
        d = b + 1
        y = c * d
        loss = y
    np.testing.assert_array_equal(loss, [6])
    np.testing.assert_array_equal(tape.gradient(loss, a), [2])
    np.testing.assert_array_equal(tape.gradient(loss, b), [5])
    np.testing.assert_array_equal(tape.gradient(loss, [c, d])[0], [2])
    np.testing.assert_array_equal(tape.gradient(loss, [c, d])[1], [3])


def test_a_tape_that_is_not_persistent_answers_once():
    x = gl.Variable(3.0)
    with gl.GradientTape() as tape:
        y = x * x
    assert tape.gradient(y, x).item() == 6
    for ask in (tape.gradient, tape.jacobian):
        with pytest.raises(GradientError, match="persistent=True"):
            ask(y, x)


def test_a_persistent_tape_answers_the_same_again():
    x = gl.Variable([1.0, 2.0])
    with gl.GradientTape(persistent=True) as tape:
        y = x * x
        z = y * y
    for _ in range(3):
        np.testing.assert_array_equal(tape.gradient(y, x), [2, 4])
        np.testing.assert_array_equal(tape.gradient(z, x), [4, 32])
        np.testing.assert_array_equal(tape.gradient(z, y), [2, 8])


def test_trainable_variables_are_watched_and_tensors_are_not():
    w, fixed = gl.Variable(1.0, name="w"), gl.Variable(2.0, trainable=False, name="fixed")
    count, x = gl.Variable(3, name="count"), gl.tensor(4.0, name="x")
    with gl.GradientTape(persistent=True) as tape:
        y = w * fixed * count * x
    assert tape.watched_variables() == (w,)
    assert tape.gradient(y, w).item() == 24
    for source, why in [
        (fixed, "fixed is not trainable, so it was not watched: call tape.watch"),
        (count, "count was not watched: it is int64"),
        (x, "x was not watched: call tape.watch"),
        (gl.Variable(1.0, name="new"), "new was never read while the tape recorded"),
    ]:
        with pytest.raises(GradientError, match=why):
            tape.gradient(y, source)
    with gl.GradientTape() as tape:
        tape.watch([fixed, {"x": x}])
        y = w * fixed * x
    assert [g.item() for g in tape.gradient(y, [fixed, x])] == [4, 2]


def test_variables_can_be_left_to_watch():
    a, b = gl.Variable(2.0), gl.Variable(3.0)
    with gl.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch(b)
        y = a * b
    assert tape.watched_variables() == (b,)
    assert tape.gradient(y, b).item() == 2
    assert tape.gradient(y, a, unconnected="none") is None
    with pytest.raises(GradientError, match=r"was not watched: call tape\.watch"):
        tape.gradient(y, a)


def test_what_cannot_be_watched():
    tape = gl.GradientTape()
    with pytest.raises(DTypeError, match="only floats"):
        tape.watch(gl.tensor([1, 2]))
    with pytest.raises(GradientError, match="ndarray"):
        tape.watch(np.ones(2))


def test_why_a_source_is_unconnected():
    x = gl.Variable([1.0, 2.0], name="x")
    z = gl.Variable([5.0], name="z")
    late = gl.tensor(1.0, name="late")
    with gl.GradientTape(persistent=True) as tape:
        z.read()
        place = gl.argmax(x * 2)
        y = place * gl.tensor(1.0)
        twice = place * 2
        stopped = gl.stop_gradient(x).sum()
        early = late * 2 + x.sum()
        tape.watch(late)
    for target, source, says in [
        (y, x, "only through argmax, which has no derivative"),
        (stopped, x, "only through stop_gradient"),
        (y, z, "does not depend on z"),
        (early, late, r"not depend on late \(what was done before tape.watch does not count"),
    ]:
        with pytest.raises(GradientError, match=says) as caught:
            tape.gradient(target, source)
        assert "\n" not in str(caught.value)
        assert tape.gradient(target, source, unconnected="none") is None
        zero = tape.gradient(target, source, unconnected="zero")
        np.testing.assert_array_equal(zero, np.zeros(source.shape), strict=False)
        assert (zero.shape, zero.dtype) == (source.shape, source.dtype)
    with pytest.raises(GradientError, match="place was not watched: it is int64"):
        tape.gradient(twice, place.named("place"))
    with pytest.raises(GradientError, match="'raise', 'none' or 'zero'"):
        tape.gradient(y, x, unconnected="nothing")
    with pytest.raises(GradientError, match="sources are tensors or Variables, got a float"):
        tape.gradient(y, [x, 2.0])


@pytest.mark.parametrize("ask", ["gradient", "jacobian"])
def test_a_question_that_fails_does_not_use_up_the_tape(ask):
    x, z = gl.Variable([1.0, 2.0], name="x"), gl.Variable([1.0], name="z")
    with gl.GradientTape() as tape:
        y = x * x
        for wrong in (
            lambda: getattr(tape, ask)(y, [x, z]),
            lambda: getattr(tape, ask)(y, x, unconnected="nothing"),
            lambda: tape.gradient(y, x, np.ones(3)),
        ):
            with pytest.raises(GradientError):
                wrong()
            assert tape in active.tapes  # it still records
        y = y * 1
    by_x, by_z = tape.gradient(y, [x, z], unconnected="zero")
    np.testing.assert_array_equal(by_x, [2, 4])
    np.testing.assert_array_equal(by_z, [0])
    with pytest.raises(GradientError, match="answered before"):
        getattr(tape, ask)(y, x)


def test_sources_come_as_a_nest():
    a, b = gl.Variable(2.0), gl.Variable(3.0)
    with gl.GradientTape() as tape:
        y = a * b
    found = tape.gradient(y, {"a": a, "both": (a, [b])})
    assert found["a"].item() == found["both"][0].item() == 3
    assert found["both"][1][0].item() == 2


def test_targets_add_up_and_count_as_their_sum():
    x = gl.Variable([1.0, 2.0])
    with gl.GradientTape(persistent=True) as tape:
        y = x * x
        z = 3 * x
    np.testing.assert_array_equal(tape.gradient([y, z], x), [5, 7])
    np.testing.assert_array_equal(tape.gradient([y, y], x), [4, 8])
    np.testing.assert_array_equal(tape.gradient([y, z], x, list(np.diag([1.0, 10.0]))), [2, 30])
    np.testing.assert_array_equal(tape.gradient(x, x), [1, 1])


def test_output_gradients():
    x = gl.Variable([1.0, 2.0])
    with gl.GradientTape(persistent=True) as tape:
        y = x * x
    g = tape.gradient(y, x, output_gradients=np.array([1.0, 10.0]))
    np.testing.assert_array_equal(g, [2, 40])
    assert g.dtype == np.float32  # whatever the dtype of the seed
    with pytest.raises(GradientError, match=r"\(3,\) for a target of \(2,\)"):
        tape.gradient(y, x, output_gradients=np.ones(3))
    with pytest.raises(GradientError, match="1 output_gradients for 2 targets: give one for each"):
        tape.gradient([y, y], x, output_gradients=[np.ones(2)])


def test_none_inside_output_gradients_is_zero():
    x = gl.Variable([1.0, 2.0])
    with gl.GradientTape(persistent=True) as tape:
        y, z = x * x, 3 * x
    np.testing.assert_array_equal(tape.gradient([y, z], x, [None, [1.0, 10.0]]), [3, 30])
    np.testing.assert_array_equal(tape.gradient([y, z], x, None), [5, 7])
    np.testing.assert_array_equal(tape.gradient([y, z], x, [None, None]), [0, 0])
    np.testing.assert_array_equal(
        tape.gradient({"y": y, "more": [z, y]}, x, {"y": None, "more": [[1.0, 1.0], None]}), [3, 3]
    )


@pytest.mark.parametrize("ask", ["gradient", "jacobian", "batch_jacobian"])
def test_what_is_unconnected_by_tensorflows_name(ask):
    x, z = gl.Variable([[1.0, 2.0]], name="x"), gl.Variable([[5.0]], name="z")
    with gl.GradientTape(persistent=True) as tape:
        y = x * x
    shape = {"gradient": (1, 1), "jacobian": (1, 2, 1, 1), "batch_jacobian": (1, 2, 1)}[ask]
    for name in ("unconnected", "unconnected_gradients"):
        both = getattr(tape, ask)(y, [x, z], **{name: "zero"})
        assert both[1].shape == shape
        assert not both[1].numpy().any()
        assert getattr(tape, ask)(y, [x, z], **{name: "none"})[1] is None
    with pytest.raises(GradientError, match="never read"):
        getattr(tape, ask)(y, z)
    with pytest.raises(GradientError, match="'raise', 'none' or 'zero', got 'nothing'"):
        getattr(tape, ask)(y, z, unconnected_gradients="nothing")
    with pytest.raises(GradientError, match="mean the same: give one"):
        getattr(tape, ask)(y, z, unconnected="none", unconnected_gradients="zero")


def test_jacobians_of_nests():
    a, b = gl.Variable([1.0, 2.0]), gl.Variable(3.0)
    with gl.GradientTape() as tape:
        y = {"product": a * b, "parts": (a[0] * a[1], [b * 2])}
    found = tape.jacobian(y, [a, b], unconnected="none")
    assert [part.tolist() for part in found["product"]] == [[[3, 0], [0, 3]], [1, 2]]
    assert found["parts"][0][0].tolist() == [2, 1]
    assert found["parts"][0][1] is None
    assert found["parts"][1][0][0] is None
    assert found["parts"][1][0][1].item() == 2


def test_batch_jacobian():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((3, 2, 2)), rng.standard_normal((2, 4))

    def rows(x, xp):
        return xp.tanh(x @ w_of[xp]) * x[..., :1]

    w_of = {gl: gl.tensor(w), torch: torch.tensor(w)}
    source = gl.Variable(x)
    with gl.GradientTape(persistent=True) as tape:
        y = rows(source, gl)
        scalars = (source**2).sum((1, 2))
    expected = torch.func.vmap(torch.func.jacrev(lambda x: rows(x, torch)))(torch.tensor(x))
    np.testing.assert_allclose(tape.batch_jacobian(y, source), expected, rtol=1e-12)
    whole = tape.jacobian(y, source).numpy()
    same_row = np.stack([whole[i, ..., i, :, :] for i in range(3)])
    np.testing.assert_allclose(tape.batch_jacobian(y, source), same_row, rtol=1e-12)
    found = tape.batch_jacobian(scalars, {"x": source})
    np.testing.assert_allclose(found["x"], 2 * x)
    for wrong in (y[:2], y.sum()):
        with pytest.raises(ShapeError, match="as many rows each"):
            tape.batch_jacobian(wrong, source)
    with gl.GradientTape() as tape:
        y = source[:0] * 2
        none = source[:0]
        tape.watch(none)
    assert tape.batch_jacobian(y, none).shape == (0, 2, 2, 2, 2)
    with gl.GradientTape() as tape:
        y = source * 2
    tape.batch_jacobian(y, source)
    with pytest.raises(GradientError, match="answered before"):
        tape.batch_jacobian(y, source)


def test_nested_tapes_to_third_order():
    x = gl.Variable(2.0)
    with gl.GradientTape() as third, gl.GradientTape() as second:
        with gl.GradientTape() as first:
            y = x**5
        d1 = first.gradient(y, x)
        d2 = second.gradient(d1, x)
    d3 = third.gradient(d2, x)
    assert [d.item() for d in (d1, d2, d3)] == [80, 160, 240]


def test_a_gradient_taken_inside_a_persistent_tape_is_recorded():
    x = gl.Variable(3.0)
    with gl.GradientTape(persistent=True) as tape:
        y = x**3
        slope = tape.gradient(y, x)
    assert tape.gradient(slope, x).item() == 18


def test_a_gradient_taken_inside_a_tape_that_is_not_persistent_ends_it():
    x = gl.Variable(3.0)
    with gl.GradientTape() as tape:
        y = x * x
        slope = tape.gradient(y, x)
        assert tape not in active.tapes
        x * 2
    assert slope.item() == 6
    assert active.tapes == []


def test_a_variable_read_twice_with_a_new_value_in_between():
    """Both readings are of the variable, each with the value of its time."""
    x = gl.Variable(2.0)
    with gl.GradientTape() as tape:
        y = x * x
        x.assign(10.0)
        y = y + 3 * x * x
    assert y.item() == 304
    assert tape.gradient(y, x).item() == 2 * 2 + 6 * 10


def test_stop_recording():
    x = gl.Variable(2.0)
    with gl.GradientTape(persistent=True) as tape:
        y = x * x
        with tape.stop_recording():
            hidden = x * 5
        z = y + hidden
    assert tape.gradient(z, x).item() == 4
    with gl.GradientTape() as tape:
        with pytest.raises(ZeroDivisionError), tape.stop_recording():
            raise ZeroDivisionError
        y = x * x  # it goes on after an error too
    assert tape.gradient(y, x).item() == 4


def test_reset_forgets():
    x = gl.Variable(2.0)
    with gl.GradientTape() as tape:
        y = x * x
        tape.reset()
        z = x * 3
    assert tape.gradient([y, z], x).item() == 3
    tape.reset()
    with tape:
        y = x * x
    assert tape.gradient(y, x).item() == 4  # as a new one


def test_a_tape_goes_on_when_it_is_entered_again():
    x = gl.Variable(2.0)
    tape = gl.GradientTape()
    with tape:
        y = x * x
        with pytest.raises(GradientError, match="recording already"), tape:
            pass
    with tape:
        z = y * y
    assert tape.gradient(z, x).item() == 32
    assert active.tapes == []


def test_jacobian():
    x = gl.Variable(np.array([[1.0, 2.0], [3.0, 4.0]]))
    b = gl.Variable(np.array([5.0, 6.0]))
    with gl.GradientTape() as tape:
        y = x @ b + b
    by = tape.jacobian(y, {"x": x, "b": b})
    expected = np.zeros((2, 2, 2))
    expected[[0, 1], [0, 1]] = [5, 6]
    np.testing.assert_array_equal(by["x"], expected)
    np.testing.assert_array_equal(by["b"], x.numpy() + np.eye(2))
    with gl.GradientTape() as tape:
        y = b * 2
    assert tape.jacobian(y, x, unconnected="none") is None


def test_the_seed_and_the_values_stay_as_they_were():
    x = gl.Variable([1.0, 2.0])
    seed = np.array([1.0, 10.0], np.float32)
    with gl.GradientTape(persistent=True) as tape:
        y = x * x
    nodes = len(tape._nodes)
    g = tape.gradient(y, x, seed)
    np.testing.assert_array_equal(seed, [1, 10])
    np.testing.assert_array_equal(y, [1, 4])
    assert len(tape._nodes) == nodes
    np.testing.assert_array_equal(g, tape.gradient(y, x, seed))


def test_a_chain_of_a_hundred_thousand_ops():
    x = gl.Variable(np.array(1.0))
    with gl.GradientTape() as tape:
        y = x
        for _ in range(100_000):
            y = y + 1e-5
    assert tape.gradient(y, x).item() == 1


def test_a_tower_of_diamonds_costs_what_its_edges_cost():
    """2⁶⁰ paths from x to y, but the rule is asked once for each of 120 halves."""
    asked = []

    def rule(g, y, x):
        asked.append(g)
        return g * 0.5

    half = Op("half", lambda xp, x: x * 0.5, elementwise_shape, (rule,), "x/2")
    x = gl.Variable(np.array(1.0))
    with gl.GradientTape() as tape:
        y = x
        for _ in range(60):
            y = apply(half, (gl.as_tensor(y),)) + apply(half, (gl.as_tensor(y),))
    assert tape.gradient(y, x).item() == 1
    assert len(asked) == 2 * 60


# --- memory -----------------------------------------------------------------------------------


def values_alive(tensors):
    """How many of the arrays that these tensors held are still there."""
    gc.collect()
    return sum(reference() is not None for reference in tensors)


def test_what_descends_from_nothing_watched_leaves_no_trace():
    x, w = gl.tensor(2.0), gl.Variable(3.0)
    with gl.GradientTape() as tape:
        unwatched = gl.exp(x * x)
        fixed = gl.Variable(1.0, trainable=False) + 1
        watched = w * unwatched
        blocked = gl.stop_gradient(watched) + 1
    assert unwatched.op is fixed.op is None
    assert unwatched.inputs == fixed.inputs == ()
    assert watched.op.name == "multiply"
    assert blocked.op.name == "add"
    assert len(tape._nodes) == 3


def test_a_running_average_under_tapes_does_not_grow():
    w, average, alive = gl.Variable(np.ones(3)), gl.tensor(np.zeros(3)), []
    for _ in range(5):
        x = gl.tensor(np.ones(3))
        with gl.GradientTape() as tape:
            y = w * x
            alive += [weakref.ref(y), weakref.ref(average)]
            average = 0.9 * average + 0.1 * y
            loss = y.sum()
        tape.gradient(loss, w)
    del x, y, tape, loss
    assert values_alive(alive) == 0
    data = gl.tensor(np.zeros(3))  # of what is not watched, on a tape that nobody asks
    for _ in range(5):
        with gl.GradientTape(persistent=True):
            alive.append(weakref.ref(data))
            data = 0.9 * data + 0.1 * gl.tensor(np.ones(3))
    assert values_alive(alive) == 0


def test_a_loss_that_is_kept_keeps_nothing_else():
    w, losses, alive = gl.Variable(np.ones(3)), [], []
    for _ in range(3):
        with gl.GradientTape() as tape:
            y = gl.exp(w * 2.0)
            loss = (y * y).sum()
        alive.append(weakref.ref(y))
        w.assign(w - 0.1 * tape.gradient(loss, w))
        losses.append(loss)
    assert values_alive(alive) == 1  # the last y, which this function holds
    del y
    assert values_alive(alive) == 0  # although the last tape lives on
    assert tape._watched == {}
    assert tape.watched_variables() == (w,)


def test_tapes_side_by_side_need_the_history_until_the_last_has_answered():
    w, alive = gl.Variable(np.array(2.0)), []
    with gl.GradientTape() as first, gl.GradientTape() as second:
        y = w * w
        alive.append(weakref.ref(y))
        loss = y * w
    del y
    assert first.gradient(loss, w).item() == 12
    assert values_alive(alive) == 1
    assert second.gradient(loss, w).item() == 12
    assert values_alive(alive) == 0
    assert loss.op is None
    with gl.GradientTape() as first, ExitStack() as pause:
        pause.enter_context(first.stop_recording())
        with gl.GradientTape() as second:
            z = w * w
            pause.close()  # the tapes meet only now
            loss = z * w
    assert first.gradient(loss, w).item() == 4
    assert second.gradient(loss, w).item() == 12


def test_what_a_tape_shows_of_itself():
    x = gl.Variable(2.0)
    with gl.GradientTape() as tape:
        y = x * x * 3
        assert repr(tape) == "<GradientTape: recording, operations: 2, variables: 1>"
    assert repr(tape) == "<GradientTape: stopped, operations: 2, variables: 1>"
    tape.gradient(y, x)
    assert repr(tape) == "<GradientTape: asked, operations: 0, variables: 1>"


def test_tapes_of_other_threads_do_not_record():
    import threading

    x = gl.Variable(2.0)
    with gl.GradientTape() as tape:
        worker = threading.Thread(target=lambda: x * x)
        worker.start()
        worker.join()
    assert tape.watched_variables() == ()


def test_jacobian_of_nothing_is_empty():
    x = gl.Variable([1.0, 2.0])
    with gl.GradientTape() as tape:
        y = x[:0]
    assert tape.jacobian(y, x).shape == (0, 2)


def test_gradients_that_are_one_tensor_take_no_name():
    a, b = gl.Variable(1.0, name="a"), gl.Variable(2.0, name="b")
    with gl.GradientTape() as tape:
        y = a + b
    by_a, by_b = tape.gradient(y, [a, b])
    assert by_a.name in (None, "gradient of a")
    assert by_b.name in (None, "gradient of b")
