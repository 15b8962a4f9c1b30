"""Every architecture against the same in PyTorch: names, outputs and gradients in float64."""

import numpy as np
import pytest

import gradlab as gl
from gradlab.nn import models

torch = pytest.importorskip("torch")
from tests.nn.models import twins  # noqa: E402

IMAGES = {
    # 13×15 has all parities that TensorFlow's padding tells apart.
    "2c2d": (models.Net2c2d, {}, (1, 13, 15), lambda: twins.net_2c2d(1, 64 * 4 * 4, 3)),
    "3c3d": (models.Net3c3d, {}, (2, 13, 16), lambda: twins.net_3c3d(2, 128, 3)),
    "all_cnn_c": (models.AllCNNC, {}, (2, 10, 11), lambda: twins.AllCNNC(2, 3)),
    "resnet": (models.ResNet, {"depth": 14}, (2, 8, 8), lambda: twins.ResNet(2, 3, 2)),
    "wide_resnet": (
        models.WideResNet,
        {"depth": 16, "width": 1},
        (2, 8, 8),
        lambda: twins.WideResNet(2, 3, 2, 1),
    ),
    "vit": (
        models.ViT,
        {"layers": 2, "heads": 2, "width": 8},
        (2, 8, 12),
        lambda: twins.ViT(2, 6, 3, 4, 2, 2, 8),
    ),
    "convnext": (
        models.ConvNeXt,
        {"widths": (4, 6, 8, 10), "depths": (1, 2, 1, 1), "patch": 2, "layer_scale": 0.5},
        (2, 16, 20),
        lambda: twins.ConvNeXt(2, 3, (4, 6, 8, 10), (1, 2, 1, 1), 2),
    ),
}


@pytest.fixture(autouse=True)
def float64():
    gl.set_default_dtype("float64")
    yield
    gl.set_default_dtype("float32")


def without_dropout(model):
    """In training, so that statistics are a batch's, but with nothing dropped."""
    for part in model.named_modules().values():
        if hasattr(part, "p"):
            part.p = 0
    return model


def compare(ours, theirs, x):
    """Names, and outputs and gradients of a weighted sum, with PyTorch's weights."""
    state = theirs.state_dict()
    tied = {"lm_head.weight"}  # is reached by another path before
    assert set(ours.state_dict()) == set(state) - tied
    ours.load_state_dict(state)
    wanted = theirs(torch.tensor(x))
    weights = np.random.default_rng(3).normal(size=wanted.shape)
    with gl.GradientTape() as tape:
        output = ours(x)
        loss = (output * weights).sum()
    (wanted * torch.tensor(weights)).sum().backward()
    np.testing.assert_allclose(output.numpy(), wanted.detach().numpy(), rtol=1e-9, atol=1e-11)
    gradients = tape.gradient(loss, ours.named_parameters())
    for name, parameter in theirs.named_parameters():
        name = "transformer.wte.weight" if name in tied else name
        np.testing.assert_allclose(
            gradients[name], parameter.grad.numpy(), rtol=1e-9, atol=1e-10, err_msg=name
        )


@pytest.mark.parametrize("name", IMAGES)
def test_networks_of_images(name):
    kind, options, shape, twin = IMAGES[name]
    torch.manual_seed(0)
    ours, theirs = without_dropout(kind(shape, 3, **options)), twin().double()
    compare(ours, theirs, np.random.default_rng(1).normal(size=(3, *shape)))
    # The running statistics have moved as PyTorch's have.
    for path, statistic in theirs.named_buffers():
        np.testing.assert_allclose(ours.state_dict()[path], statistic.numpy(), rtol=1e-9)


@pytest.mark.parametrize("bias", [False, True])
def test_gpt(bias):
    torch.manual_seed(0)
    tokens = np.random.default_rng(1).integers(0, 11, (3, 5))
    ours = models.GPT((6,), 11, layers=2, heads=2, width=8, bias=bias)
    compare(ours, twins.GPT(6, 11, 2, 2, 8, bias).double(), tokens)


def test_char_lstm():
    torch.manual_seed(0)
    tokens = np.random.default_rng(1).integers(0, 11, (3, 5))
    ours = without_dropout(models.CharLSTM((5,), 11, width=6))
    compare(ours, twins.CharLSTM(11, 6).double(), tokens)


def test_vae():
    torch.manual_seed(0)
    ours, theirs = without_dropout(models.VAE((1, 8, 8), latent=3)), twins.VAE(3).double()
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    x = np.random.default_rng(1).uniform(size=(4, 1, 8, 8))
    noise = ours.reseed(5).stream.normal((4, 3), np.float64).numpy()
    ours.reseed(5)
    with gl.GradientTape() as tape:
        output = ours(x)
        loss = models.vae_loss(output, x)
    image, mean, log_std = theirs(torch.tensor(x), torch.tensor(noise))
    error = ((image - torch.tensor(x)) ** 2).sum((1, 2, 3))
    normal = torch.distributions.Normal
    divergence = torch.distributions.kl_divergence(normal(mean, log_std.exp()), normal(0.0, 1.0))
    wanted = (error + divergence.sum(1)).mean()
    wanted.backward()
    parts = [part.detach().numpy().reshape(4, -1) for part in (image, mean, log_std)]
    np.testing.assert_allclose(output, np.concatenate(parts, axis=1), rtol=1e-9)
    np.testing.assert_allclose(loss, wanted.item(), rtol=1e-9)
    gradients = tape.gradient(loss, ours.named_parameters())
    for name, parameter in theirs.named_parameters():
        np.testing.assert_allclose(gradients[name], parameter.grad.numpy(), rtol=1e-9, atol=1e-10)
