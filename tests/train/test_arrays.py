"""Experiments on images and on text, from settings to predictions."""

import numpy as np
import pytest

from gradlab import data
from gradlab.errors import ArgumentError, DataError, GradlabError, RunError
from gradlab.train import Callback, Config, Experiment, augmentations, predict, sample
from gradlab.train.files import load_arrays
from gradlab.train.parts import make_model

SENTENCE = "the cat sat on the mat and the dog sat on the log. "


@pytest.fixture
def pictures(tmp_path):
    """An NPZ file of images of 2 channels: bright on the left or on the right."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 120)
    x = rng.integers(0, 100, (120, 2, 6, 6)).astype(np.uint8)
    for image, side in zip(x, y, strict=True):
        image[:, :, 3 * side : 3 * side + 3] += 100
    path = tmp_path / "pictures.npz"
    np.savez(path, x=x, y=np.array(["left", "right"])[y])
    return path


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_text(SENTENCE * 40)
    return path


IMAGES = {"hidden": None, "dropout": None, "batch_size": 32, "lr": 0.01}
TEXT = {
    **IMAGES,
    "model": "gpt(layers=1, heads=2, width=16)",
    "block": 16,
    "epochs": None,
    "updates": 60,
    "lr": 0.02,
    "batch_size": 16,
}


@pytest.mark.parametrize("model", ["mlp(hidden=(8,))", "2c2d"])
def test_images(model, train, pictures, tmp_path):
    experiment, outcome = train(
        pictures, **IMAGES, model=model, augment=("crop(padding=1)",), micro_batch=16
    )
    assert outcome.scores["test"]["accuracy"] > 0.9
    weights = load_arrays(experiment.folder.path / "model.safetensors")[0]
    mean = experiment.dataset.train.x.mean(axis=(0, 2, 3)) / 255
    np.testing.assert_allclose(weights["pixels.mean"], mean, rtol=1e-6)
    found = predict(experiment.folder.path, pictures)
    assert found.scores["accuracy"] > 0.9
    assert set(found.values) == {"left", "right"}
    assert found.probabilities.shape == (120, 2)
    with pytest.raises(DataError, match="is a table"):
        predict(experiment.folder.path, "iris")


def test_images_go_on_to_the_same_bits(train, config, pictures, tmp_path):
    settings = {**IMAGES, "model": "mlp", "augment": ("crop(padding=2)", "flip(p=0.3)")}
    settings |= {"updates": 9, "epochs": None, "evaluate_every": 4, "micro_batch": 16}
    whole, outcome = train(pictures, **settings)

    class Kill(Callback):
        def on_advance(self, training, record):
            if training.trainer.updates > 5:
                raise KeyboardInterrupt

    again = Experiment.create(config(pictures, **settings), tmp_path / "runs")
    with pytest.raises(KeyboardInterrupt):
        again.train(progress=False, callbacks=[Kill()])
    assert Experiment.open(again.folder.path).train(progress=False) == outcome
    files = [e.folder.path / "model.safetensors" for e in (whole, again)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_augmentations_are_in_training_alone(pictures):
    dataset = data.load(pictures)
    config = Config("x", model="mlp", augment=("crop", "flip")).completed("arrays", 500)
    network = make_model(config, dataset.preprocess)
    assert [type(m).__name__ for m in network[0]] == ["RandomCrop", "RandomFlip"]
    x = dataset.train.x[:20]
    plain = make_model(Config("x").completed("arrays", 500), dataset.preprocess)
    assert (network.eval()(x).numpy() == plain.eval()(x).numpy()).all()
    assert not (network.train()(x).numpy() == plain.train()(x).numpy()).all()
    for info in augmentations.values():
        assert info.formula
        assert info.summary


def test_first_values_are_the_models_own_unless_another_is_named(pictures):
    preprocess = data.load(pictures).preprocess

    def bias(**settings):
        config = Config("x", model="2c2d", **settings).completed("arrays", 500)
        return make_model(config, preprocess)[-1].conv1.bias.numpy()

    assert (bias() == np.float32(0.05)).all()
    assert (bias(init="xavier_normal") == 0).all()


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"model": "vae"}, "model vae predicts no target"),
        ({"model": "gpt"}, r"GPT takes inputs of shape \(block,\)"),
        ({"augment": ("turn",)}, "unknown augmentation 'turn'"),
        ({"augment": ("crop(size=9)",)}, "RandomCrop takes images"),
        ({"model": "mlp", "loss": "mse"}, "loss mse does not fit classification"),
    ],
    ids=str,
)
def test_what_does_not_fit_images_is_said_before_a_folder_is_made(
    settings, text, train, pictures, tmp_path
):
    with pytest.raises(GradlabError, match=text):
        train(pictures, **(IMAGES | settings))
    assert not (tmp_path / "runs").exists()


def test_text(train, corpus):
    experiment, outcome = train("text", **TEXT, file=str(corpus))
    path = experiment.folder.path
    assert outcome.scores["validation"]["loss"] < 1.5  # uniform over 17 characters: 2.8
    assert outcome.scores["validation"]["accuracy"] > 0.5
    assert set(outcome.scores) == {"train", "validation"}
    history = experiment.folder.history()
    assert history["update"].tolist() == list(range(6, 61, 6))

    text = sample(path, 80, prompt="the ", seed=1, executor="numpy")
    assert len(text) == 80
    assert set(text) <= set(SENTENCE)
    assert sample(path, 40, prompt="the ", seed=1, executor="numpy") == text[:40]
    assert sample(path, 80, prompt="the ", seed=2, executor="numpy") != text
    sure = [
        sample(path, 30, prompt="the ", temperature=0, seed=s, executor="numpy") for s in (1, 2)
    ]
    assert sure[0] == sure[1]
    for options, said in {
        "the prompt has 'X'": {"prompt": "aX"},
        "the prompt is empty": {"prompt": ""},
        "from 0 up": {"prompt": "a", "temperature": -1.0},
    }.items():
        with pytest.raises(ArgumentError, match=options):
            sample(path, 3, **said)
    with pytest.raises(ArgumentError, match="let it write: gradlab sample"):
        predict(path, "iris")


def test_a_sample_is_what_the_network_says(train, corpus):
    """At temperature 0 each character is the likeliest one after the last ``block``.

    The weights are large and hardly trained, so that each place and character counts.
    """
    settings = TEXT | {"updates": 1, "lr": 1e-4, "init": "normal(std=0.5)"}
    experiment, _ = train("text", **settings, file=str(corpus))
    path, preprocess = experiment.folder.path, experiment.dataset.preprocess
    network = make_model(experiment.config, preprocess).eval()
    network.load_state_dict(load_arrays(path / "model.safetensors")[0])
    characters = list(preprocess.target.classes)
    text = "the cat"
    for _ in range(20):
        seen = [[characters.index(c) for c in text[-16:]]]
        text += characters[network(np.array(seen)).numpy()[0, -1].argmax()]
    assert sample(path, 20, temperature=0, prompt="the cat") == text[len("the cat") :]


def test_text_by_lstm_and_a_sample_needs_a_finished_run(train, corpus):
    settings = TEXT | {"model": "char_lstm(layers=1, width=8, dropout=0.0)", "updates": 4}
    experiment, _ = train("text", **settings, file=str(corpus))
    assert len(sample(experiment.folder.path, 5, prompt="a", executor="numpy")) == 5
    (experiment.folder.path / "result.json").unlink()
    with pytest.raises(RunError, match="no finished training"):
        sample(experiment.folder.path)


def test_a_relative_file_is_found_again(corpus, tmp_path, monkeypatch, config):
    monkeypatch.chdir(tmp_path)
    chosen = config("text", **TEXT, file="corpus.txt", data_dir="there")
    experiment = Experiment.create(chosen, tmp_path / "runs")
    monkeypatch.chdir("/")
    again = Experiment.open(experiment.folder.path)
    assert again.dataset.digest() == experiment.dataset.digest()
    assert again.config.data_dir == str(tmp_path / "there")


def test_a_fingerprint_of_large_data_is_of_a_sample(pictures, tmp_path, monkeypatch, config):
    monkeypatch.setattr("gradlab.train.experiment.LARGE", 100)
    monkeypatch.setattr("gradlab.data.Dataset.digest", pytest.fail)
    experiment = Experiment.create(config(pictures, **IMAGES), tmp_path / "runs")
    Experiment.open(experiment.folder.path)
    x, y = (np.load(pictures)[name] for name in "xy")
    np.savez(pictures, x=x[:-1], y=y[:-1])
    with pytest.raises(RunError, match="has changed"):
        Experiment.open(experiment.folder.path)
