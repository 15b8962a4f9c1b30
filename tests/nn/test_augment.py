import numpy as np
import pytest
import torch
from scipy.stats import chisquare

import gradlab as gl
from gradlab import nn
from gradlab.errors import ArgumentError, DTypeError, ShapeError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (6, 3, 7, 9)).astype(np.uint8)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_pixels_are_torchvisions_normalize(dtype):
    mean, std = [0.4914, 0.4822, 0.4465], [0.247, 0.2435, 0.2616]
    layer = nn.Pixels(mean, std, dtype=dtype)
    x = torch.from_numpy(IMAGES).to(getattr(torch, dtype)) / 255
    expected = (x - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    found = layer(IMAGES).numpy()
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5, atol=1e-6)
    assert list(layer.state_dict()) == ["mean", "std"]
    assert layer.parameters() == []


def test_one_mean_for_all_channels():
    np.testing.assert_allclose(nn.Pixels()(IMAGES).numpy(), IMAGES / np.float32(255), rtol=1e-6)


def test_pixels_of_other_things():
    for x, error, message in [
        (IMAGES / 255, DTypeError, "takes bytes"),
        (IMAGES[:, :2], ShapeError, "images of 3 channels"),
        (IMAGES[0, 0, 0], ShapeError, "images of 3 channels"),
    ]:
        with pytest.raises(error, match=message):
            nn.Pixels([0.5] * 3, [0.5] * 3)(x)
    for mean, std in [([0.5], [0.0]), ([0.5] * 3, [0.5]), ([], [])]:
        with pytest.raises(ArgumentError, match="a number for each channel"):
            nn.Pixels(mean, std)


def offsets(crop, image, size):
    """Where a crop lies within an image of numbers that are all different."""
    found = np.argwhere(image == crop[0, 0])
    assert len(found) == 1
    top, left = found[0]
    np.testing.assert_array_equal(crop, image[top : top + size[0], left : left + size[1]])
    return top, left


def test_crops_lie_within_the_border_and_are_uniform():
    size, padding, n = (5, 6), 2, 6000
    image = np.arange(1, 64, dtype=np.int64).reshape(7, 9)
    x = np.broadcast_to(image, (n, 1, 7, 9))
    layer = nn.RandomCrop(size, padding).reseed(0)
    found = layer(x).numpy()
    assert found.shape == (n, 1, 5, 6)
    # Numbers that are all different, on the border too; each is the place of an element.
    padded = np.pad(image, padding)
    places = {}
    for top in range(7):
        for left in range(8):
            places[padded[top : top + 5, left : left + 6].tobytes()] = (top, left)
    assert len(places) == 56
    counts = np.zeros((7, 8))
    for crop in found[:, 0]:
        counts[places[crop.tobytes()]] += 1
    assert chisquare(counts.ravel()).pvalue > 1e-3
    # Rows and columns are drawn apart.
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / n
    assert chisquare(counts.ravel(), expected.ravel()).pvalue > 1e-3


def test_all_channels_of_an_image_are_cut_alike():
    x = np.stack([np.arange(49).reshape(7, 7)] * 3)[None].repeat(20, axis=0) + 1
    found = nn.RandomCrop(4).reseed(0)(x).numpy()
    for crop in found:
        assert offsets(crop[0], x[0, 0], (4, 4)) == offsets(crop[2], x[0, 0], (4, 4))
    assert len({crop.tobytes() for crop in found}) > 5


def test_flips_are_fair_and_whole():
    x = IMAGES[:1].repeat(4000, axis=0)
    for p in (0.0, 0.3, 1.0):
        found = nn.RandomFlip(p).reseed(1)(x).numpy()
        mirrored = (found == x[:1, :, :, ::-1]).all(axis=(1, 2, 3))
        same = (found == x[:1]).all(axis=(1, 2, 3))
        assert (mirrored ^ same).all()
        assert mirrored.mean() == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / 4000))


def test_evaluation_draws_nothing():
    model = nn.Sequential(nn.RandomCrop((5, 4), padding=2), nn.RandomFlip()).eval()
    np.testing.assert_array_equal(model(IMAGES).numpy(), IMAGES[:, :, 1:6, 2:6])
    same = nn.RandomCrop((7, 9), padding=4).eval()
    np.testing.assert_array_equal(same(IMAGES).numpy(), IMAGES)
    assert int(model[0].stream.count) == int(model[1].stream.count) == 0


def test_streams_are_their_own():
    def draw(*layers, seed=0):
        return nn.Sequential(*layers).reseed(seed)(IMAGES).numpy()

    first = draw(nn.RandomCrop(4), nn.RandomFlip())
    np.testing.assert_array_equal(first, draw(nn.RandomCrop(4), nn.RandomFlip()))
    assert (first != draw(nn.RandomCrop(4), nn.RandomFlip(), seed=1)).any()
    model = nn.Sequential(nn.RandomCrop(4), nn.RandomFlip()).reseed(0)
    assert (model(IMAGES).numpy() != model(IMAGES).numpy()).any()


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_both_executors_give_the_same_bits(dtype):
    x = IMAGES.astype(dtype)
    found = []
    for executor in ("numpy", "native"):
        model = nn.Sequential(nn.RandomCrop((6, 7), padding=1), nn.RandomFlip()).reseed(2)
        program = gl.compile(model, executor)
        found.append([program(x).numpy() for _ in range(3)])
        assert int(model[0].stream.count) == 6
    np.testing.assert_array_equal(*found)
    assert (found[0][0] != found[0][1]).any()


def test_gradients_flow_through():
    """Images may be made by a model."""
    x = IMAGES[:2].astype(np.float64)

    def crop(x):
        return nn.RandomCrop(4, padding=1).reseed(0)(x)

    def flip(x):
        return nn.RandomFlip().reseed(3)(x)

    gl.check_grads(crop, [x])
    gl.check_grads(flip, [x])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.RandomCrop((4,)), "one number or"),
        (lambda: nn.RandomCrop(0), "size must be a whole number"),
        (lambda: nn.RandomCrop(4, padding=-1), "padding must be a whole number"),
        (lambda: nn.RandomFlip(1.5), r"p must be in \[0, 1\]"),
    ],
)
def test_settings_out_of_range(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()


def test_shapes_that_do_not_fit():
    with pytest.raises(ShapeError, match=r"RandomCrop takes images.*of \(8, 8\) pixels or more"):
        nn.RandomCrop(8)(IMAGES)
    with pytest.raises(ShapeError, match="RandomCrop takes images"):
        nn.RandomCrop(8, padding=1).eval()(IMAGES)
    for layer in (nn.RandomCrop(2), nn.RandomFlip()):
        with pytest.raises(ShapeError, match="takes images"):
            layer(IMAGES[0])
