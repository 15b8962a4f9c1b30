"""Models to and from PyTorch: names, outputs, gradients, modes."""

import copy
import io

import numpy as np
import pytest

import gradlab as gl
from gradlab import nn
from gradlab.errors import ArgumentError, DTypeError
from gradlab.nn.augment import Pixels, RandomCrop, RandomFlip
from tests.interop.model_cases import build, example, names

torch = pytest.importorskip("torch")
from gradlab.interop.torch import LAYERS, ROWS, Replay, from_torch, to_torch  # noqa: E402

D = {"dtype": "float64"}
LAYER_CASES = {
    "Linear": (lambda: nn.Linear(3, 4, **D), (2, 3)),
    "Linear without bias": (lambda: nn.Linear(3, 4, bias=False, **D), (2, 3)),
    "Embedding": (lambda: nn.Embedding(7, 3, **D), "tokens"),
    "Embedding with padding": (lambda: nn.Embedding(7, 3, padding_idx=2, **D), "tokens"),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(3, **D), (5, 3)),
    "BatchNorm1d plain": (
        lambda: nn.BatchNorm1d(3, affine=False, track_running_stats=False, **D),
        (5, 3, 2),
    ),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(3, momentum=None, **D), (2, 3, 4, 5)),
    "RNN": (lambda: nn.RNN(3, 4, nonlinearity="relu", **D), (5, 2, 3)),
    "LSTM": (lambda: nn.LSTM(3, 4, num_layers=2, bidirectional=True, **D), (5, 2, 3)),
    "GRU": (lambda: nn.GRU(3, 4, bias=False, batch_first=True, **D), (2, 5, 3)),
    "MultiheadAttention": (lambda: nn.MultiheadAttention(4, 2, batch_first=True, **D), (2, 5, 4)),
    "LayerNorm": (lambda: nn.LayerNorm((4, 3), bias=False, **D), (2, 4, 3)),
    "RMSNorm": (lambda: nn.RMSNorm(3, **D), (2, 4, 3)),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4, **D), (2, 4, 3)),
    "Conv1d": (lambda: nn.Conv1d(4, 6, 3, 2, 1, 2, 2, **D), (2, 4, 11)),
    "Conv2d": (lambda: nn.Conv2d(3, 4, (3, 1), padding="same", bias=False, **D), (2, 3, 5, 6)),
    "ConvTranspose1d": (
        lambda: nn.ConvTranspose1d(4, 6, 3, 2, 1, output_padding=1, groups=2, dilation=2, **D),
        (2, 4, 5),
    ),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(3, 4, 3, stride=2, **D), (2, 3, 4, 5)),
    "MaxPool1d": (lambda: nn.MaxPool1d(3, 2, 1, 2), (2, 3, 9)),
    "MaxPool2d": (lambda: nn.MaxPool2d((3, 2), padding=1), (2, 3, 7, 6)),
    "AvgPool1d": (lambda: nn.AvgPool1d(3, padding=1, count_include_pad=False), (2, 3, 9)),
    "AvgPool2d": (lambda: nn.AvgPool2d(3, 2, 1), (2, 3, 7, 6)),
    "AdaptiveAvgPool1d": (lambda: nn.AdaptiveAvgPool1d(4), (2, 3, 9)),
    "AdaptiveAvgPool2d": (lambda: nn.AdaptiveAvgPool2d(1), (2, 3, 7, 6)),
    "AdaptiveMaxPool1d": (lambda: nn.AdaptiveMaxPool1d(4), (2, 3, 9)),
    "AdaptiveMaxPool2d": (lambda: nn.AdaptiveMaxPool2d((2, 3)), (2, 3, 7, 6)),
    "ZeroPad2d": (lambda: nn.ZeroPad2d((0, 1, 2, 3)), (2, 3, 4, 5)),
    "Dropout": (lambda: nn.Dropout(0.0), (2, 3)),
    "Identity": (nn.Identity, (2, 3)),
    "ReLU": (nn.ReLU, (2, 3)),
    "LeakyReLU": (lambda: nn.LeakyReLU(0.2), (2, 3)),
    "ELU": (lambda: nn.ELU(0.7), (2, 3)),
    "Sigmoid": (nn.Sigmoid, (2, 3)),
    "Tanh": (nn.Tanh, (2, 3)),
    "GELU": (nn.GELU, (2, 3)),
    "SiLU": (nn.SiLU, (2, 3)),
    "Softmax": (lambda: nn.Softmax(0), (2, 3)),
    "LogSoftmax": (lambda: nn.LogSoftmax(1), (2, 3)),
    "Softplus": (nn.Softplus, (2, 3)),
    "Flatten": (nn.Flatten, (2, 3, 4)),
    "StochasticDepth": (lambda: nn.StochasticDepth(0.5), (6, 3)),
    "Residual": (lambda: nn.Residual(nn.Linear(3, 3, **D)), (2, 3)),
    "nested": (
        lambda: nn.Sequential(
            {"in": nn.Linear(3, 4, **D), "mid": nn.Residual(nn.MLP((4, 5, 4), **D)), "n": nn.Tanh()}
        ),
        (2, 3),
    ),
}


def numbers(shape, seed=0):
    rng = np.random.default_rng(seed)
    if shape == "tokens":
        return rng.integers(0, 7, (2, 5))
    return rng.standard_normal(shape)


def shaken(module):
    """With random numbers in all parameters and buffers, so that none is at its default."""
    rng = np.random.default_rng(1)
    for path, variable in module.named_variables().items():
        if variable.dtype.kind == "f":
            low = 0.5 if "var" in path else -1.0
            variable.assign(rng.uniform(low, 1.0, variable.shape))
    return module


def first(output):
    return output[0] if isinstance(output, tuple) else output


def close(found, expected):
    found = found.detach().numpy() if isinstance(found, torch.Tensor) else np.asarray(found)
    np.testing.assert_allclose(found, np.asarray(expected), rtol=1e-9, atol=1e-12)


def compare(ours, theirs, x, **options):
    """Outputs and gradients by parameters, from a scalar that weighs all outputs differently."""
    with gl.GradientTape() as tape:
        y = first(ours(x, **options))
        weights = np.cos(np.arange(y.size)).reshape(y.shape)
        loss = gl.sum(y * weights)
    z = first(theirs(torch.tensor(x), **options))
    close(z, y)
    parameters = ours.named_parameters()
    if not parameters:
        return
    theirs.zero_grad()
    (z * torch.tensor(weights)).sum().backward()
    gradients = tape.gradient(loss, parameters)
    for name, parameter in theirs.named_parameters():
        close(parameter.grad, gradients[name])


def test_every_row_has_a_case():
    assert {row.ours.__name__ for row in LAYERS} <= set(LAYER_CASES)


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("name", LAYER_CASES)
def test_layers_to_torch(name, mode):
    make, shape = LAYER_CASES[name]
    ours = shaken(make()).train(mode == "train")
    theirs = to_torch(ours)
    assert set(theirs.state_dict()) == set(ours.state_dict())
    assert theirs.training == ours.training
    x = numbers(shape)
    compare(ours, theirs, x)
    for path, value in ours.state_dict().items():  # running statistics have moved alike
        close(theirs.state_dict()[path], value)


@pytest.mark.parametrize("name", [row.ours.__name__ for row in LAYERS])
def test_layers_from_torch(name):
    make, shape = LAYER_CASES[name]
    ours = shaken(make())
    kind = next(row for row in LAYERS if row.ours.__name__ == name)
    theirs = to_torch(ours)
    if isinstance(theirs, Replay):
        theirs = torch.nn.MultiheadAttention(4, 2, batch_first=True, dtype=torch.float64)
        theirs.load_state_dict({k: torch.tensor(v) for k, v in ours.state_dict().items()})
    assert type(theirs) is kind.theirs
    again = from_torch(theirs)
    assert type(again) is kind.ours
    assert repr(again) == repr(ours)
    x = numbers(shape)
    close(first(again(x)), first(ours(x)))


def test_a_torch_attention_gives_what_ours_gives():
    theirs = torch.nn.MultiheadAttention(4, 2, batch_first=True, dtype=torch.float64)
    x = numbers((2, 5, 4))
    close(theirs(*[torch.tensor(x)] * 3)[0], from_torch(theirs)(x))


# --- models ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", names())
def test_models(name):
    """Outputs and gradients of every model, in both modes; dropout draws the same bits."""
    gl.set_default_dtype("float64")
    try:
        ours = build(name)
    finally:
        gl.set_default_dtype("float32")
    theirs = to_torch(ours.reseed(3))
    assert set(theirs.state_dict()) == set(ours.state_dict())
    for training, n in ((False, 3), (True, 2)):
        x = example(name, n)
        x = x.astype(np.float64) if x.dtype == np.float32 else x
        compare(ours.train(training), theirs.train(training), x)
    for path, value in ours.state_dict().items():
        close(theirs.state_dict()[path], value)


# --- what a Replay is -----------------------------------------------------------------------------


def residual():
    return nn.Residual(nn.Sequential(nn.Linear(3, 3, **D), nn.BatchNorm1d(3, **D), nn.Dropout(0.5)))


def test_a_replay_can_be_copied_saved_and_trained():
    made = to_torch(residual())
    x = torch.tensor(numbers((4, 3)))
    made.eval()(x)
    buffer = io.BytesIO()
    torch.save(made, buffer)
    buffer.seek(0)
    for again in (copy.deepcopy(made), torch.load(buffer, weights_only=False)):
        close(again(x), made(x).detach())
        optimizer = torch.optim.SGD(again.parameters(), lr=0.1)
        before = again(x).square().sum()
        before.backward()
        optimizer.step()
        assert again(x).square().sum() < before
        assert (made(x) != again(x)).any()


def test_a_replay_depends_on_the_original_no_more():
    ours = residual().eval()
    made, x = to_torch(ours), numbers((4, 3))
    before = made(torch.tensor(x)).detach().numpy()
    shaken(ours).train()
    close(made(torch.tensor(x)), before)


def test_options_and_settings_of_a_call():
    ours = nn.MultiheadAttention(4, 2, batch_first=True, **D)
    made, x = to_torch(ours), numbers((2, 5, 4))
    compare(ours, made, x, is_causal=True)
    compare(ours, made, x, is_causal=False)
    mask = np.triu(np.ones((5, 5)), 2)
    close(made(torch.tensor(x), attn_mask=torch.tensor(mask)), ours(x, attn_mask=mask))


def test_images_are_changed_by_the_same_bits():
    ours = nn.Sequential(RandomCrop(3, padding=2), RandomFlip(), Pixels([0.3] * 2, [0.2] * 2))
    made = to_torch(ours)
    x = np.random.default_rng(0).integers(0, 256, (9, 2, 4, 5), np.uint8)
    for _ in range(2):  # the streams move on in both
        close(made(torch.tensor(x)), ours(x))
    close(made.eval()(torch.tensor(x)), ours.eval()(x))


def test_modes_are_kept_and_change():
    ours = nn.Sequential(nn.Dropout(0.5), nn.Residual(nn.Dropout(0.5)).eval())
    made = to_torch(ours)
    assert [made.training, made[0].training, made[1].training] == [True, True, False]
    x = torch.ones(2, 3)
    assert (made.eval()(x) == 2 * x).all()
    assert (made.train()(x) != 2 * x).any()


def test_shared_variables_stay_shared():
    ours = nn.Sequential(nn.Linear(3, 3), nn.Residual(nn.Linear(3, 3)), nn.Linear(3, 3))
    ours[1].body.weight = ours[2].weight = ours[0].weight
    made = to_torch(ours)
    assert made[0].weight is made[2].weight is made[1].body.weight
    again = from_torch(torch.nn.Sequential(made[0], torch.nn.Tanh(), made[2], made[0]))
    assert again[0].weight is again[2].weight
    assert again[0] is again[3]


def test_parts_of_a_replay_keep_modes_of_their_own():
    """So a frozen BatchNorm stays as it is while the rest is trained."""
    ours = residual()
    ours.body[1].eval()
    made, x = to_torch(ours.reseed(0)), numbers((4, 3))
    compare(ours, made, x)
    norm = made.get_submodule("body.1")
    assert (made.training, norm.training) == (True, False)
    compare(ours.eval(), made.eval(), x)
    ours.body[1].train()
    norm.train()
    compare(ours, made, x)
    close(made.state_dict()["body.1.running_mean"], ours.body[1].running_mean)


def test_what_is_not_trained():
    ours = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    ours[1].weight.trainable = False
    made = to_torch(ours)
    assert [p.requires_grad for p in made.parameters()] == [True, True, False, True]
    assert list(from_torch(made).named_parameters()) == ["0.weight", "0.bias", "1.bias"]


def test_a_container_with_variables_of_its_own():
    ours = nn.Sequential(nn.Linear(2, 2))
    ours.scale = gl.Variable([1.0])
    made = to_torch(ours)
    assert isinstance(made, Replay)
    assert set(made.state_dict()) == set(ours.state_dict())


def test_gradients_by_what_is_assigned_afterwards():
    class Moving(nn.Module):
        def __init__(self):
            self.mean = gl.Variable(2.0, trainable=False)

        def forward(self, x):
            y = x * self.mean
            self.mean.assign(self.mean * 0.5)
            return y

    made, x = to_torch(Moving()), torch.ones(2, requires_grad=True)
    made(x).sum().backward()
    close(x.grad, [2, 2])
    close(made.mean, 1)


def test_errors():
    made = to_torch(residual())
    with pytest.raises(ArgumentError, match="takes PyTorch's tensors, got ndarray"):
        made(np.ones((2, 3)))
    with pytest.raises(DTypeError, match="gradlab has no bfloat16"):
        made(torch.ones(2, 3, dtype=torch.bfloat16))
    with pytest.raises(DTypeError, match=r"body.0.weight was converted to torch.float32"):
        made.float()(torch.ones(2, 3))
    with pytest.raises(ArgumentError, match="no place for the name 'type'"):
        to_torch(nn.Sequential({"type": nn.ReLU()}))
    with pytest.raises(ArgumentError, match=r"to_torch takes a module of gradlab, got .*torch"):
        to_torch(torch.nn.ReLU())
    with pytest.raises(ArgumentError, match=r"from_torch takes a module of PyTorch, got .*gradlab"):
        from_torch(nn.ReLU())


def test_hooks_are_not_read():
    theirs = torch.nn.Sequential(torch.nn.ReLU())
    theirs[0].register_forward_hook(lambda module, x, y: 2 * y)
    with pytest.raises(ArgumentError, match=r"layer 0 \(ReLU\) has forward hooks; remove them"):
        from_torch(theirs)


class Own(torch.nn.Sequential):
    def forward(self, x):
        return x


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (
            torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Sequential(torch.nn.Hardswish())),
            r"layer 1.0: unknown layer of PyTorch 'Hardswish'",
        ),
        (torch.nn.TransformerEncoderLayer(4, 2), "unknown layer .* 'TransformerEncoderLayer'"),
        (Own(), "this Own has a forward of its own, .* load its state_dict"),
        (torch.nn.Sequential(Own()), r"layer 0 \(Own\) has a forward of its own"),
        (torch.nn.GELU("tanh"), "gradlab's GELU has no approximate='tanh', only 'none'"),
        (
            torch.nn.Sequential(torch.nn.Conv1d(2, 2, 3, padding=1, padding_mode="circular")),
            r"layer 0 \(Conv1d\): gradlab's Conv1d has no padding_mode='circular'",
        ),
        (torch.nn.LSTM(2, 3, proj_size=1), "LSTM has no proj_size=1, only 0"),
        (torch.nn.MultiheadAttention(4, 2, kdim=3), "_qkv_same_embed_dim"),
    ],
)
def test_layers_that_are_unknown(module, message):
    with pytest.raises(ArgumentError, match=message):
        from_torch(module)


def test_a_row_of_your_own(monkeypatch):
    class Cube(nn.Module):
        def __init__(self, name, composed=None):
            self.op = gl.Op(
                name,
                forward=lambda xp, x: x * x * x,
                infer=gl.elementwise_shape,
                vjps=(lambda g, y, x: 3 * g * x * x,),
                formula="x³",
                composed=composed,
            )

        def forward(self, x):
            return gl.apply(self.op, (gl.as_tensor(x),))

    x = torch.full((2,), 2.0)
    for name in ("cube", "square"):  # which is another row
        with pytest.raises(
            ArgumentError, match=f"'{name}' of yours is not known: give .* composed"
        ):
            to_torch(Cube(name))(x)
        assert (to_torch(Cube(name, lambda x: x**3))(x) == 8).all()
    monkeypatch.setitem(ROWS, "cube", lambda x: x**3 + 1)
    for composed in (None, lambda x: x**3):
        assert (to_torch(Cube("cube", composed))(x) == 9).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_becomes_float32(dtype):
    theirs = torch.nn.Linear(2, 3, dtype=dtype)
    ours = from_torch(theirs)
    assert ours.weight.dtype == np.float32
    close(ours.weight, theirs.weight.detach().float())
