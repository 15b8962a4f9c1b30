"""Attention against PyTorch: masks of every kind, orders of the axes, and bad arguments."""

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gradlab as gl
from gradlab import init, nn
from gradlab.errors import ArgumentError, DTypeError, ShapeError
from tests.nn.twins import check_compiled, compare, same, torch

F = torch.nn.functional
N, L, S, E, H = 2, 4, 5, 6, 3


def values(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape)


def booleans(*shape, seed=0):
    """True now and then, and never for all of a row."""
    chosen = np.random.default_rng(seed).random(shape) < 0.4
    chosen[..., 0] = False
    return chosen


def added(mask):
    return np.where(mask, -np.inf, values(*mask.shape))


# --- the function -----------------------------------------------------------------------------


@given(
    lead=st.sampled_from([(), (2,), (2, 3)]),
    lengths=st.tuples(*[st.integers(1, 4)] * 4),
    kind=st.sampled_from(["none", "bool", "float", "causal"]),
    scale=st.sampled_from([None, 0.3]),
    seed=st.integers(0, 99),
)
@settings(max_examples=60)
def test_the_function_against_torch(lead, lengths, kind, scale, seed):
    rng = np.random.default_rng(seed)
    length, keys, d, e = lengths
    shapes = [(*lead, length, d), (*lead, keys, d), (*lead, keys, e)]
    arrays = [rng.normal(size=shape) for shape in shapes]
    options, theirs = {"scale": scale}, {"scale": scale}
    if kind == "causal":
        options["causal"] = theirs["is_causal"] = True
    elif kind != "none":  # rows where nothing is allowed among them
        mask = rng.random((length, keys)) < 0.5
        mask = np.where(mask, rng.normal(size=mask.shape), -np.inf) if kind == "float" else mask
        options["mask"], theirs["attn_mask"] = mask, torch.tensor(mask)
    ours, peers = [gl.Variable(x) for x in arrays], [torch.tensor(x) for x in arrays]
    for x in peers:
        x.requires_grad_()
    with gl.GradientTape() as tape:
        found = nn.attention(*ours, **options)
        loss = gl.sin(found).sum()
    expected = F.scaled_dot_product_attention(*peers, **theirs)
    expected.sin().sum().backward()
    same(found, expected)
    for x, peer in zip(tape.gradient(loss, ours), peers, strict=True):
        same(x, peer.grad)


def test_scores_of_any_size():
    q = np.array([[1e4], [-1e4]], np.float32)
    y = nn.attention(q, q, np.array([[1.0], [2.0]], np.float32), mask=[[True, True], [False, True]])
    np.testing.assert_array_equal(y, [[1], [2]])


def test_a_query_that_may_look_nowhere_gives_zero_and_no_gradient():
    q = gl.Variable(values(1, 2, 3))
    for mask in ([[False, False], [True, False]], [[-np.inf, -np.inf], [0.0, 1.0]]):
        with gl.GradientTape() as tape:
            y = nn.attention(q, q, q, mask=np.array(mask))
            loss = gl.square(y).sum()
        assert not y.numpy()[0, 0].any()
        assert np.isfinite(tape.gradient(loss, q).numpy()).all()
    # Causal and masked: the first query has only the first key, which is hidden.
    assert not nn.attention(q, q, q, mask=[False, True], causal=True).numpy()[0, 0].any()


def test_a_mask_too_low_for_the_scores_means_nowhere():
    q = values(2, 3).astype(np.float32)
    mask = np.array([[0.0, 0.0], [-1e300, -1e300]])
    with np.errstate(over="ignore"):
        y = nn.attention(q, q, q, mask=mask).numpy()
    assert y[0].any()
    assert not y[1].any()  # and is no NaN


def test_causal_and_mask_together():
    x, mask = values(4, 3), ~booleans(4, 4)
    both = nn.attention(x, x, x, mask=mask & np.tri(4, dtype=bool))
    np.testing.assert_array_equal(nn.attention(x, x, x, mask=mask, causal=True), both)


def test_the_past_does_not_depend_on_the_future():
    x = values(2, 5, 4)
    before = nn.attention(x, x, x, causal=True).numpy()
    x[:, 3:] += 1
    np.testing.assert_array_equal(nn.attention(x, x, x, causal=True).numpy()[:, :3], before[:, :3])


def test_dropout_falls_on_the_weights():
    x = values(3, 4)
    y = nn.attention(x, x, x, dropout=lambda weights: weights * 0)
    assert not np.any(y)


def test_second_order():
    x = values(1, 3, 2)
    mask = np.array([[1, 0, 1], [1, 1, 0], [0, 0, 0]], bool)
    gl.check_grads(lambda q, k, v: nn.attention(q, k, v, mask), [x, x + 1, x - 1])


def test_errors_of_the_function():
    x = np.ones((2, 3), np.float32)
    with pytest.raises(ShapeError, match=r"attention takes q of .* got \(2, 3\), \(2, 4\)"):
        nn.attention(x, np.ones((2, 4)), x)
    with pytest.raises(ShapeError, match=r"attention takes q of shape .* got \(3,\)"):
        nn.attention(x[0], x, x)
    with pytest.raises(ShapeError, match=r"mask must broadcast to .* \(2, 2\), got \(3,\)"):
        nn.attention(x, x, x, mask=np.ones(3, bool))
    with pytest.raises(ShapeError, match=r"mask must broadcast to .* \(2, 2\), got \(4, 1, 1\)"):
        nn.attention(x, x, x, mask=np.ones((4, 1, 1), bool))
    with pytest.raises(DTypeError, match="mask must hold booleans or floats, got int64"):
        nn.attention(x, x, x, mask=np.ones((2, 2), int))


# --- the layer --------------------------------------------------------------------------------

PADDING = booleans(N, S, seed=1)
MASKS = {
    "none": {},
    "booleans": {"attn_mask": booleans(L, S)},
    "floats": {"attn_mask": added(booleans(L, S))},
    "for each head": {"attn_mask": booleans(N * H, L, S)},
    "padding": {"key_padding_mask": PADDING},
    "booleans and padding": {"attn_mask": booleans(L, S), "key_padding_mask": PADDING},
    "floats and padding": {"attn_mask": added(booleans(L, S)), "key_padding_mask": PADDING},
    "heads and padding": {"attn_mask": booleans(N * H, L, S), "key_padding_mask": PADDING},
}


def randomized(peer):
    with torch.no_grad():
        for p in peer.parameters():
            p.copy_(torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel())))
    return peer


def pair(**options):
    ours = nn.MultiheadAttention(E, H, **options, dtype="float64")
    return ours, randomized(torch.nn.MultiheadAttention(E, H, **options))


def inputs(batch_first, *lengths):
    made = [values(N, length, E) + i for i, length in enumerate(lengths)]
    return made if batch_first else [x.swapaxes(0, 1).copy() for x in made]


@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("batch_first", [True, False])
def test_the_layer_against_torch(batch_first, kind):
    ours, theirs = pair(batch_first=batch_first)

    def call(q, k, v, **masks):
        masks = {name: torch.tensor(mask) for name, mask in masks.items()}
        if len({mask.dtype for mask in masks.values()}) == 2:  # PyTorch wants them alike
            padding = masks["key_padding_mask"]
            masks["key_padding_mask"] = torch.zeros(padding.shape).masked_fill(padding, -np.inf)
            masks["key_padding_mask"] = masks["key_padding_mask"].double()
        return theirs(q, k, v, **masks)[0]

    compare(ours, theirs, *inputs(batch_first, L, S, S), call=call, **MASKS[kind])


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("batch_first", [True, False])
def test_self_attention_is_one_product(batch_first, bias):
    ours, theirs = pair(batch_first=batch_first, bias=bias)
    (x,) = inputs(batch_first, L)
    mask = torch.nn.Transformer.generate_square_subsequent_mask(L).double()

    def call(x, is_causal):
        return theirs(x, x, x, attn_mask=mask, is_causal=is_causal, need_weights=False)[0]

    compare(ours, theirs, x, call=call, is_causal=True)
    products = [node for node in gl.trace(ours, x).nodes if node.op.name.startswith("matmul")]
    assert len(products) == 4  # projections, scores, means, output


def test_keys_and_values_alike():
    ours, theirs = pair()
    compare(ours, theirs, *inputs(False, L, S), call=lambda q, k: theirs(q, k, k)[0])


def test_a_single_example():
    for batch_first in (True, False):
        ours, theirs = pair(batch_first=batch_first)
        options = {"key_padding_mask": PADDING[0], "attn_mask": booleans(L, S)}

        def call(q, k, v, theirs=theirs, **masks):
            return theirs(q, k, v, **{name: torch.tensor(m) for name, m in masks.items()})[0]

        compare(ours, theirs, values(L, E), values(S, E), values(S, E) + 1, call=call, **options)


def test_first_weights_are_pytorchs_draw():
    ours, theirs = nn.MultiheadAttention(64, 4), torch.nn.MultiheadAttention(64, 4)
    for name, p in theirs.state_dict().items():
        mine = ours.state_dict()[name]
        assert mine.shape == tuple(p.shape)
        assert abs(mine.std() - float(p.std())) <= 0.05 * float(p.std())
        assert np.abs(mine).max() <= 1.02 * float(p.abs().max())


def test_initialize_sets_weights_and_biases():
    model = nn.MultiheadAttention(6, 3)
    model.in_proj_bias.assign(np.ones(18))
    init.initialize(model, "xavier_uniform", seed=0)
    assert not model.in_proj_bias.numpy().any()
    bound = np.sqrt(6 / 24)
    assert 0.8 * bound < np.abs(model.in_proj_weight.numpy()).max() <= bound


def test_dropout_in_training_only():
    layer, x = nn.MultiheadAttention(6, 3, dropout=0.5), values(L, N, E)
    assert not np.array_equal(layer(x), layer(x))
    layer.eval()
    np.testing.assert_array_equal(layer(x), layer(x))
    assert "dropout" not in " ".join(layer.state_dict())


@pytest.mark.parametrize("batch_first", [True, False])
def test_compiled_as_eager(batch_first):
    layer = nn.MultiheadAttention(E, H, batch_first=batch_first, dtype="float64")
    (x,) = inputs(batch_first, L)
    check_compiled(layer, x, is_causal=True, key_padding_mask=booleans(N, L))


def test_arguments_have_pytorchs_names_and_defaults():
    theirs = inspect.signature(torch.nn.MultiheadAttention).parameters
    for name, p in inspect.signature(nn.MultiheadAttention).parameters.items():
        assert p.default == theirs[name].default, name


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"embed_dim": 0}, "embed_dim must be a whole number from 1 up, got 0"),
        ({"num_heads": 4}, "embed_dim must be a multiple of num_heads=4, got 6"),
        ({"num_heads": 0}, "num_heads must be a whole number from 1 up, got 0"),
    ],
)
def test_bad_arguments(options, words):
    with pytest.raises(ArgumentError, match=f"MultiheadAttention: {words}"):
        nn.MultiheadAttention(**({"embed_dim": 6, "num_heads": 3} | options))


def test_bad_inputs():
    layer = nn.MultiheadAttention(E, H, batch_first=True)
    x = np.ones((N, L, E), np.float32)
    name = r"MultiheadAttention\(6, 3\)"
    with pytest.raises(ShapeError, match=rf"{name} takes .* \(n, length, 6\) .* got \(2, 4, 5\)"):
        layer(x[:, :, :5])
    with pytest.raises(ShapeError, match=rf"{name}: keys and values must be as many"):
        layer(x, x, x[:, :3])
    with pytest.raises(ShapeError, match=rf"{name}: keys and values must be as many"):
        layer(x, x[:1])
    with pytest.raises(ShapeError, match=r"attn_mask must have shape \(4, 4\) or \(6, 4, 4\)"):
        layer(x, attn_mask=np.ones((2, 4, 4), bool))
    with pytest.raises(ShapeError, match=r"key_padding_mask must have shape \(2, 4\), got \(4,\)"):
        layer(x, key_padding_mask=np.ones(4, bool))
    with pytest.raises(DTypeError, match="attn_mask must hold booleans or floats, got int64"):
        layer(x, attn_mask=np.ones((4, 4), int))
    with pytest.raises(DTypeError, match="key_padding_mask must hold booleans, got float32"):
        layer(x, key_padding_mask=np.ones((2, 4), np.float32))
