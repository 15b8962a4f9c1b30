import io
import sys
import zipfile

import numpy as np
import pytest
from sklearn.datasets import load_wine

from gradlab.data import load, read
from gradlab.errors import ArgumentError, DataError, MissingExtraError


@pytest.fixture(scope="module")
def wine():
    """Wine with column names x1 ... x13 and y, and some values missing."""
    x, y = load_wine(return_X_y=True)
    x[3, 2] = x[100, 0] = np.nan
    return x, np.array(["barolo", "grignolino", "barbera"])[y]


@pytest.fixture(scope="module")
def files(wine, tmp_path_factory):
    """The same table in every format."""
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    folder = tmp_path_factory.mktemp("wine")
    x, y = wine
    frame = pandas.DataFrame(x, columns=[f"x{j + 1}" for j in range(13)]).assign(y=y)
    frame.to_csv(folder / "wine.csv", index=False)
    frame.to_csv(folder / "wine.tsv", index=False, sep="\t", na_rep="?")
    frame.to_csv(folder / "semicolons.csv", index=False, sep=";", encoding="utf-8-sig")
    frame.sample(frac=1, random_state=0).sort_index().to_parquet(folder / "wine.parquet")
    np.savez(folder / "wine.npz", X=x, target=y, other=np.zeros(3))
    return folder


NAMES = ["wine.csv", "wine.tsv", "semicolons.csv", "wine.parquet", "wine.npz"]


@pytest.mark.parametrize("name", NAMES)
def test_every_format_gives_the_same_dataset(files, wine, name):
    expected = load(wine, seed=3)
    found = load(files / name, seed=3)
    assert found.name == name.partition(".")[0]
    assert found.preprocess.columns == expected.preprocess.columns
    assert found.classes == expected.classes == ("barbera", "barolo", "grignolino")
    for role in ("train", "validation", "test"):
        a, b = getattr(found, role), getattr(expected, role)
        np.testing.assert_array_equal(a.x, b.x)
        np.testing.assert_array_equal(a.y, b.y)
        assert a.role == role


@pytest.mark.parametrize("name", NAMES)
def test_standard_input(files, wine, name, monkeypatch):
    data = (files / name).read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    suffix = name.partition(".")[2]
    found = load("-", format=None if suffix == "csv" else suffix)
    np.testing.assert_array_equal(found.test.x, load(wine).test.x)


def test_frames(wine):
    pandas = pytest.importorskip("pandas")
    x, y = wine
    frame = pandas.DataFrame(x).assign(y=y)
    expected = load(wine)
    for source in (frame, (frame.drop(columns="y"), frame["y"]), (frame.drop(columns="y"), y)):
        found = load(source)
        assert found.target_names == ("y",)
        assert found.feature_names[0] == "0"
        np.testing.assert_array_equal(found.test.x, expected.test.x)


def test_columns_that_pandas_knows():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {
            "whole": pandas.array([1, None, 3], dtype="Int64"),
            "text": pandas.array(["a", None, "b"], dtype="string"),
            "kind": pandas.Categorical(["u", "v", None]),
            "truth": pandas.array([True, None, False], dtype="boolean"),
        }
    )
    table = read(frame).table
    np.testing.assert_array_equal(table["whole"], [1, np.nan, 3])
    assert table["text"].tolist() == ["a", None, "b"]
    assert table["kind"].tolist() == ["u", "v", None]
    assert table["truth"].tolist() == ["True", None, "False"]


def test_columns_that_parquet_knows(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = {
        "whole": pyarrow.array([1, None, 3]),
        "text": pyarrow.array(["a", "NA", None]),
        "kind": pyarrow.array(["u", "v", "u"]).dictionary_encode(),
        "truth": pyarrow.array([True, None, False]),
        "price": pyarrow.array([1, 2, 3]).cast(pyarrow.decimal128(21, 2)),
    }
    parquet.write_table(pyarrow.table(columns), tmp_path / "t.parquet")
    table = read(tmp_path / "t.parquet").table
    np.testing.assert_array_equal(table["whole"], [1, np.nan, 3])
    assert table["text"].tolist() == ["a", None, None]
    assert table["kind"].tolist() == ["u", "v", "u"]
    assert table["truth"].tolist() == ["True", None, "False"]
    assert table["price"].tolist() == [1, 2, 3]


def test_an_index_that_pandas_stored_is_no_feature(tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pandas.DataFrame({"a": [1, 2], "b": [3, 4]}, index=[7, 9])
    frame.to_parquet(tmp_path / "t.parquet")
    assert read(tmp_path / "t.parquet").table.names == ("a", "b")


def read_text(text, tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read(path).table


def test_csv_quotes_blank_lines_and_space(tmp_path):
    table = read_text('size , "a,b"\r\n\r\n 1, "x ""y"""\r\n2, NA\r\n', tmp_path)
    assert table.names == ("size", "a,b")
    assert table["size"].tolist() == [1, 2]
    assert table["a,b"].tolist() == ['x "y"', None]


def test_csv_numbers_are_not_python_literals(tmp_path):
    assert read_text("a,b\n1_000,1e3\n", tmp_path)["a"].tolist() == ["1_000"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "t.csv is empty"),
        ("\n\n", "t.csv is empty"),
        ("a,b\n", "t.csv has a header and no rows"),
        ("a,b\n1,2\n1,2,3\n", "t.csv, line 3: 3 fields where the header has 2"),
        ('a,b\n1,"x\ny"\n1\n', "t.csv, line 4: 1 fields where the header has 2"),
        ('a,b\n1,"x\n', "t.csv, line 2: unexpected end of data"),
        ("5.1,3.5,setosa\n4.9,3.0,setosa\n", "number '5.1' where a column name belongs"),
        (",a,b\n0,1,2\n", r"column 1 has no name.*to_csv\(index=False\)"),
        ("a,b,a\n1,2,3\n", "has the column 'a' more than once"),
        (b"a,b\n1,\xe9\n", r"not UTF-8 text \(byte 6\)"),
        ("a" * 200_000 + ",b\n1,2\n", "t.csv, line 1: field larger than field limit"),
    ],
)
def test_csv_that_cannot_be_read(text, message, tmp_path):
    with pytest.raises(DataError, match=message):
        read_text(text, tmp_path)


@pytest.mark.parametrize("size", [0, 10, 500, 2000])
@pytest.mark.parametrize("name", ["wine.parquet", "wine.npz"])
def test_truncated_files(files, tmp_path, name, size):
    path = tmp_path / name
    path.write_bytes((files / name).read_bytes()[:size])
    with pytest.raises(DataError, match=r"is not an? (Parquet|NPZ) file"):
        read(path)


def test_an_npz_with_a_damaged_array(files, tmp_path):
    data = bytearray((files / "wine.npz").read_bytes())
    data[1000] ^= 255
    (tmp_path / "t.npz").write_bytes(data)
    with pytest.raises(DataError, match="is damaged: Bad CRC"):
        read(tmp_path / "t.npz")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"inputs": [[1.0]], "y": [1]}, "no array x, X, data or x_train; found: inputs, y"),
        ({"x": [["a", "b"]], "y": [1]}, "x must be an array of numbers, got <U1"),
        ({"x": [1.0, 2.0], "y": [0, 1]}, r"x must have two dimensions.* got shape \(2,\)"),
        ({"x": [[1.0], [2.0]], "y": [0]}, "one length, got x1 with 2 rows and y with 1 rows"),
        ({"x": [[1.0]], "y": np.array(["a"], object)}, "Python objects.*not read for safety"),
        ({"x": [[1.0]], "y": [1j]}, "column 'y' must hold numbers or text, got complex128"),
    ],
)
def test_npz_that_cannot_be_read(arrays, message, tmp_path):
    np.savez(tmp_path / "t.npz", **arrays)
    with pytest.raises(DataError, match=message):
        read(tmp_path / "t.npz")


def test_an_archive_without_arrays(tmp_path):
    with zipfile.ZipFile(tmp_path / "t.npz", "w") as file:
        file.writestr("notes.txt", "hello")
    with pytest.raises(DataError, match=r"no array x, X, data or x_train; found: notes\.txt"):
        read(tmp_path / "t.npz")


def test_npz_without_targets_is_for_prediction(tmp_path):
    np.savez(tmp_path / "t.npz", x=np.ones((3, 2)))
    assert read(tmp_path / "t.npz").table.names == ("x1", "x2")
    with pytest.raises(DataError, match="there is no target"):
        load(tmp_path / "t.npz")


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("nowhere.csv", DataError, "cannot read nowhere.csv: No such file"),
        ("table.xlsx", DataError, "cannot read table.xlsx: no such file or folder"),
        (__file__, DataError, "format of .* one of .csv, .tsv, .parquet, .npz, or give format$"),
        ("spirall", ArgumentError, "unknown dataset 'spirall'; did you mean 'spiral'"),
        ("spiral(turns=2)", ArgumentError, "unknown parameter of dataset spiral 'turns'"),
        (([[1.0]],), ArgumentError, r"pair \(X, y\), got 1 of them"),
        (([[1.0], [2.0, 3.0]], [0, 1]), DataError, "x has rows of different lengths"),
        (3.0, DataError, r"x must have two dimensions.* got shape \(\)"),
    ],
)
def test_sources_that_are_none(source, error, message):
    with pytest.raises(error, match=message):
        read(source)


def test_unreadable_places(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match=r"cannot read .*folder.csv: Is a directory"):
        read(tmp_path / "folder.csv")
    with pytest.raises(ArgumentError, match="unknown format 'xls'"):
        read("-", format="xls")


def test_a_name_twice():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame([[1, 2]], columns=["a", "a"])
    with pytest.raises(DataError, match="the frame has the column 'a' more than once"):
        read(frame)
    with pytest.raises(DataError, match="column 'y' is in both X and y"):
        read((pandas.DataFrame({"y": [1]}), [1]))


def test_parquet_without_pyarrow(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "t.parquet").write_bytes(b"")
    with pytest.raises(MissingExtraError, match=r"pip install 'gradlab\[parquet\]'"):
        read(tmp_path / "t.parquet")


def test_with_a_format_any_name_is_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").write_text("a,b\n1,2\n")
    assert read("digits", format="csv").table.names == ("a", "b")
