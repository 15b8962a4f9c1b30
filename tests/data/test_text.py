import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradlab import data
from gradlab.data import load, memory_map
from gradlab.data.text import read_characters
from gradlab.errors import ArgumentError, DataError
from tests.data.samples import CORPUS


def corpus(tmp_path, content=CORPUS, **options):
    path = tmp_path / "corpus.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return {"name": "text", "file": str(path)} | options


characters = st.text(st.characters(codec="utf-8"), min_size=1, max_size=200)


@given(characters, st.integers(1, 40))
def test_characters_are_kept_exactly(tmp_path_factory, content, chunk):
    path = tmp_path_factory.getbasetemp() / "text.txt"
    path.write_bytes(content.encode())
    if content.startswith("\ufeff"):  # a mark of the encoding, not of the text
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gradlab.data.text._CHUNK", chunk)
        vocabulary, tokens = read_characters(path)
    assert list(vocabulary) == sorted(set(content))
    assert "".join(vocabulary[i] for i in tokens) == content


def test_indices_are_as_small_as_can_be(tmp_path):
    for count, dtype in ((256, np.uint8), (257, np.uint16)):
        path = tmp_path / "text.txt"
        path.write_text("".join(map(chr, range(1000, 1000 + count))), encoding="utf-8")
        assert read_characters(path)[1].dtype == dtype


def test_windows_are_views_that_overlap(tmp_path):
    block = 16
    dataset = load(corpus(tmp_path, block=block))
    text = CORPUS[: int(len(CORPUS) * 0.9)]
    train = dataset.train
    assert dataset.name == "corpus"
    assert train.x.shape == train.y.shape == (len(text) - block, block)
    assert train.x.strides == (1, 1)
    assert np.shares_memory(train.x, train.y)
    assert train.x.dtype == np.uint8
    assert not dataset.validation.x.flags.owndata
    for i in (0, 7, len(train) - 1):
        assert "".join(dataset.preprocess.decode(train.x[i])) == text[i : i + block]
        assert "".join(dataset.preprocess.decode(train.y[i])) == text[i + 1 : i + block + 1]
    later = CORPUS[len(text) :]
    count = (len(later) - 1) // block
    assert len(dataset.validation) == count
    joined = "".join(dataset.preprocess.decode(dataset.validation.x.ravel()))
    assert joined == later[: count * block]
    joined = "".join(dataset.preprocess.decode(dataset.validation.y.ravel()))
    assert joined == later[1 : count * block + 1]
    assert dataset.test is None
    assert (dataset.input_shape, dataset.outputs) == ((block,), len(set(CORPUS)))
    assert dataset.describe() == (
        f"corpus: text, {len(train)} train, {count} validation windows of 16 characters, "
        f"{len(set(CORPUS))} kinds"
    )


def test_the_digest_sees_every_character_and_no_seed(tmp_path):
    spec = corpus(tmp_path)
    first = load(spec).digest()
    assert load(spec, seed=3, validation=0.3).digest() == first
    for i in (0, 1000, int(len(CORPUS) * 0.9) + 1):
        changed = CORPUS[:i] + "q" + CORPUS[i + 1 :]
        assert load(corpus(tmp_path, changed)).digest() != first
    at = int(len(CORPUS) * 0.9) - 1  # the last that is trained on
    changed = CORPUS[:at] + "q" + CORPUS[at + 1 :]
    assert load(corpus(tmp_path, changed)).digest() != first


def test_without_validation_all_is_trained_on(tmp_path):
    dataset = load(corpus(tmp_path, validation=0))
    assert dataset.validation is None
    assert len(dataset.train) == len(CORPUS) - 64


@pytest.mark.parametrize(
    ("content", "options", "error", "message"),
    [
        ("", {}, DataError, "is empty"),
        ("short", {}, DataError, "has 5 characters, too few for windows of 64"),
        ("a" * 500, {"block": 8}, DataError, "has one character only, 'a'"),
        (b"ab\xffcd" * 100, {}, DataError, r"is not UTF-8 text \(byte 2\)"),
        ("é".encode() * 300 + b"\xc3", {}, DataError, r"is not UTF-8 text \(byte 600\)"),
        (CORPUS, {"block": 0}, ArgumentError, "block must be 1 character or more"),
        (CORPUS, {"validation": 1.0}, ArgumentError, r"fraction in \[0, 1\)"),
    ],
)
def test_texts_that_cannot_be_learnt_from(tmp_path, content, options, error, message):
    with pytest.raises(error, match=message) as caught:
        load(corpus(tmp_path, content, **options))
    assert "\n" not in str(caught.value)


def test_no_file(tmp_path):
    with pytest.raises(DataError, match=r"cannot read .*nowhere.txt: No such file"):
        load({"name": "text", "file": str(tmp_path / "nowhere.txt")})
    with pytest.raises(ArgumentError, match="dataset text needs file"):
        load("text")


def test_a_large_text_is_a_memory_map(tmp_path, monkeypatch):
    small = load(corpus(tmp_path)).digest()
    monkeypatch.setattr(memory_map, "LARGE", 1000)
    dataset = load(corpus(tmp_path), data_dir=tmp_path)
    assert dataset.digest() == small
    assert len(list((tmp_path / "arrays").iterdir())) == 1
    assert not dataset.train.x.flags.owndata
    assert not dataset.train.x.flags.writeable


def test_another_text_for_prediction(tmp_path):
    preprocess = load(corpus(tmp_path, block=8)).preprocess
    x, y = preprocess.prepare(data.read(corpus(tmp_path, "dog the fox", block=8, validation=0)))
    assert x.dtype == np.uint8
    assert "".join(preprocess.decode(x[0])) == "dog the "
    assert "".join(preprocess.decode(y[0])) == "og the f"
    with pytest.raises(DataError, match="corpus has the character 'é'"):
        preprocess.prepare(data.read(corpus(tmp_path, "dog thé fox", block=8, validation=0)))
    with pytest.raises(DataError, match=r"had windows of 8 characters, .* windows of 4 characters"):
        preprocess.prepare(data.read(corpus(tmp_path, block=4)))


@pytest.mark.long
def test_tiny_shakespeare_as_published(published):
    dataset = load("tiny_shakespeare", data_dir=published("tinyshakespeare.txt"))
    assert dataset.outputs == 65
    # nanoGPT's splits: 1,003,854 characters and 111,540.
    assert len(dataset.train) == 1_003_854 - 64
    assert len(dataset.validation) == 111_539 // 64
    start = "".join(dataset.preprocess.decode(dataset.train.x[0]))
    assert start.startswith("First Citizen:\nBefore we proceed")
