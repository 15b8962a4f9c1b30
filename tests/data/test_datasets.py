import numpy as np
import pytest
from sklearn import datasets as peers

from gradlab.data import datasets, load
from gradlab.errors import ArgumentError
from tests.data import samples

CLASSES = ["circle", "xor", "gauss", "spiral", "moons", "checkerboard"]
TOYS = [*CLASSES, "plane", "multi_gauss"]


def toy(name, **options):
    """Points and target of a toy, as they are drawn."""
    table = datasets.build({"name": name} | options).table
    x1, x2, y = (table[column] for column in table.names)
    return np.column_stack([x1, x2]), y


FILES = {"images": ("folder", "photos"), "text": ("file", "corpus.txt")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A data folder with small files of every dataset that is one."""
    made = tmp_path_factory.mktemp("data")
    samples.write_all(made)
    return made


@pytest.mark.parametrize("name", sorted(datasets))
def test_every_row_says_what_it_is_and_loads(name, folder):
    info = datasets[name]
    assert info.formula
    assert info.paper or name == "images"
    assert info.summary.endswith(".")
    spec = {"name": name}
    if name in FILES:
        key, file = FILES[name]
        spec[key] = str(folder / file)
    dataset = load(spec, data_dir=folder)
    assert dataset.name == (FILES[name][1].removesuffix(".txt") if name in FILES else name)
    assert dataset.task in ("classification", "regression")
    assert len(dataset.train) > len(dataset.validation) > 0
    assert dataset.features == np.prod(dataset.input_shape)
    if dataset.preprocess.feature_names:
        assert len(dataset.validation) == len(dataset.test)


@pytest.mark.parametrize("name", TOYS)
def test_toys_keep_to_their_domain_and_parameters(name):
    x, y = toy(name, samples=1001)
    assert x.shape == (1001, 2)
    assert np.abs(x).max() < 6.5
    assert np.abs(x).max() > 3
    np.testing.assert_array_equal(x, toy(name, samples=1001)[0])
    assert (x != toy(name, samples=1001, seed=1)[0]).all()
    if name in CLASSES:
        assert abs(y.mean() - 0.5) < 0.06


@pytest.mark.parametrize("name", TOYS)
def test_noise_is_a_standard_deviation(name):
    clean, noisy = (toy(name, samples=4000, noise=noise) for noise in (0, 0.25))
    place = 0 if name in CLASSES else 1
    np.testing.assert_array_equal(clean[1 - place], noisy[1 - place])
    assert (noisy[place] - clean[place]).std() == pytest.approx(0.25, rel=0.05)


def inside(x):
    return np.hypot(*x.T) < 3


def squares(x):
    return (x[:, 0] // 3 + x[:, 1] // 3) % 2 == 1


def on_arm(x):
    """Whether the angle fits the arm with the plus sign better than the other one."""
    radius = np.hypot(*x.T)
    angle = np.arctan2(x[:, 0], x[:, 1])
    return np.cos(angle - 3.5 * np.pi * radius / 5) > 0


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("circle", inside),
        ("xor", lambda x: x.prod(axis=1) > 0),
        ("checkerboard", squares),
        ("spiral", on_arm),
    ],
)
def test_classes_follow_their_formula(name, rule):
    x, y = toy(name)
    np.testing.assert_array_equal(y == 1, rule(x))


def test_clouds_have_their_means_and_unit_variance():
    x, y = toy("gauss", samples=20_000)
    for label, mean in [(1, 2), (0, -2)]:
        np.testing.assert_allclose(x[y == label].mean(axis=0), mean, atol=0.05)
        np.testing.assert_allclose(np.cov(x[y == label].T), np.eye(2), atol=0.05)


def test_moons_are_scikit_learns_moved_and_widened():
    peer, peer_label = peers.make_moons(1000, noise=None, random_state=0)
    x, y = toy("moons")
    back = x / 3 + [0.5, 0.25]
    for label in (0, 1):
        gaps = np.linalg.norm(back[y == label][:, None] - peer[peer_label == label], axis=2)
        assert gaps.min(axis=1).max() < 0.01


def test_plane_and_hills():
    x, y = toy("plane")
    np.testing.assert_allclose(y, x.sum(axis=1) / 12)
    x, y = toy("multi_gauss")
    expected = [
        sum(
            (1 if (i + j) % 2 == 0 else -1) * np.exp(-((a - u) ** 2 + (b - v) ** 2) / 2)
            for i, u in enumerate((-4, 0, 4))
            for j, v in enumerate((2.5, -2.5))
        )
        for a, b in x
    ]
    np.testing.assert_allclose(y, expected, atol=1e-12)


def test_the_seed_of_load_draws_the_toy_unless_the_spec_does():
    one, other = load("moons", seed=1), load("moons", seed=2)
    assert one.train.x[0, 0] != other.train.x[0, 0]
    np.testing.assert_array_equal(
        load("moons(seed=5)", seed=1).train.x, load("moons(seed=5)", seed=1).train.x
    )
    assert len(load("spiral(noise=0.1, samples=60)", test=0, validation=0).train) == 60


@pytest.mark.parametrize("spec", ["xor(samples=1)", "xor(noise=-0.1)", "xor(seed=-1)"])
def test_parameters_out_of_range(spec):
    with pytest.raises(ArgumentError, match=r"samples must|noise must|seed must"):
        load(spec)


@pytest.mark.parametrize(
    ("name", "peer"),
    [
        ("digits", peers.load_digits()),
        ("iris", peers.load_iris()),
        ("wine", peers.load_wine()),
        ("breast_cancer", peers.load_breast_cancer()),
        ("diabetes", peers.load_diabetes(scaled=False)),
    ],
)
def test_scikit_learns_sets_are_whole(name, peer):
    dataset = load(name, validation=0, test=0, standardize=False, dtype="float64")
    np.testing.assert_array_equal(dataset.train.x, peer.data)
    assert dataset.feature_names == tuple(peer.feature_names)
    labels = dataset.preprocess.decode(dataset.train.y).ravel()
    expected = peer.target_names[peer.target] if dataset.classes else peer.target
    np.testing.assert_array_equal(labels, expected)


def test_pixels_are_divided_and_measurements_standardized():
    digits = load("digits")
    assert digits.train.x.min() == 0
    assert digits.train.x.max() == 1
    assert {(c.center, c.scale) for c in digits.preprocess.columns} == {(0.0, 16.0)}
    np.testing.assert_allclose(load("wine").train.x.std(axis=0), 1, rtol=1e-5)


def test_the_text_of_a_dataset_is_one_line():
    digits = load("digits")
    assert repr(digits) == f"<dataset {digits.describe()}>"
    assert repr(digits.train) == "<train split: x float32(1257, 64), y int64(1257,)>"
