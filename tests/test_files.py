"""Files are whole or not there."""

import pytest

from gradlab.errors import RunError
from gradlab.files import replacing


def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "note.txt"
    path.write_text("old")

    def write_half():
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_it_takes_over_what_a_kill_left_behind(tmp_path):
    path = tmp_path / "note.txt"
    with replacing(path) as temporary:
        temporary.write_text("first")
    temporary.write_text("what a kill left")
    with replacing(path) as again:
        again.write_text("second")
    assert again.suffix == ".txt"
    assert path.read_text() == "second"
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_is_one_line(tmp_path):
    path = tmp_path / "missing" / "note.txt"
    message = r"cannot write .*note\.txt: No such file"
    with pytest.raises(RunError, match=message), replacing(path) as temporary:
        temporary.write_text("text")
