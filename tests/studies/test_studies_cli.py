import sys

import pytest

from gradlab.cli import main


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run the command line in this process, in the test's folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["gradlab", "studies", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code or 0, *capsys.readouterr()

    return run


def test_list(run):
    status, out, _ = run("list")
    assert status == 0
    for part in ("identical_weights", "deep_relu", "tanh_xavier", "He et al."):
        assert part in out


def test_a_verdict_with_its_statistics(run, coin, tmp_path):
    status, out, _ = run("run", coin, "--seeds", 3)
    assert status == 0
    for part in ("coin: undecided", "half of the time", "undecided: Heads in 0.", "±", "heads"):
        assert part in out
    assert list(tmp_path.iterdir()) == []


def test_pages(run, coin, tmp_path):
    status, out, _ = run("run", coin, coin, "--out", "a/pages")
    assert status == 0
    assert out.count("page a/pages/coin.md") == 1
    assert {p.name for p in (tmp_path / "a/pages").iterdir()} == {
        "README.md", "coin.md", "coin-share.svg",
    }  # fmt: skip


def test_a_summary_of_several(run, coin):
    from gradlab.studies import studies

    studies.register("again", formula="p = ½", paper="Bernoulli, 1713")(studies[coin].factory)
    try:
        _, out, _ = run("run", "coin", "again")
    finally:
        del studies._rows["again"]
    assert out.splitlines()[-2:] == ["coin   undecided", "again  undecided"]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["coyn"], "unknown study 'coyn'; did you mean 'coin'? Known: "),
        (["coin", "--seeds", "1"], "seeds is 1; an interval needs at least 2"),
        (["coin", "--out", "taken"], "--out is 'taken', a file; name a folder"),
    ],
)
def test_bad_input_is_one_line(run, coin, tmp_path, words, error):
    (tmp_path / "taken").write_text("")
    status, out, err = run("run", *words)
    assert status == 2
    assert out == ""
    assert error in err
    assert err.count("\n") == 1


def test_missing_data_are_told_before_anything_is_trained(run, coin, tmp_path, monkeypatch):
    from gradlab.data import download

    monkeypatch.setattr(download, "_download", lambda *_: ["no network"])
    status, out, err = run("run", coin, "deep_relu", "--data-dir", tmp_path / "empty")
    assert status == 2
    assert out == ""
    assert "--data-dir" in err
    assert err.count("\n") == 1
