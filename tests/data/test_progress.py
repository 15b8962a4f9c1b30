import pytest

from gradlab.data import progress


@pytest.mark.parametrize("bytes_", [True, False])
@pytest.mark.parametrize("total", [4, None])
def test_a_bar_after_a_while_on_a_terminal(capsys, monkeypatch, bytes_, total):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    for patience, shown in ((0.0, True), (1000.0, False)):
        monkeypatch.setattr(progress, "PATIENCE", patience)
        with progress.Progress("file.bin", total, bytes=bytes_) as bar:
            bar.advance(1)
            bar.advance(3)
        assert ("file.bin" in capsys.readouterr().err) == shown


def test_nothing_where_the_screen_cannot_be_redrawn(capsys, monkeypatch):
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    with progress.Progress("file.bin", 4) as bar:
        bar.advance(4)
    assert capsys.readouterr().err == ""
