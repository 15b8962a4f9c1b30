import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from gradlab.data import Remote, data_folder, fetch, load
from gradlab.errors import DataError

CONTENT = np.random.default_rng(0).bytes(700_000)
SHA = "sha256:" + hashlib.sha256(CONTENT).hexdigest()


class Home(BaseHTTPRequestHandler):
    """Gives CONTENT under paths that say how badly."""

    def do_GET(self):
        self.server.asked.append((self.path, self.headers["Range"]))
        kind = self.path.rpartition("/")[2]
        if kind == "absent":
            self.send_error(404)
            return
        start = 0
        if self.headers["Range"] and kind != "whole":
            start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        if start >= len(CONTENT):
            self.send_error(416)
            return
        data = CONTENT[start:] if kind != "wrong" else b"<html>Sign in</html>"
        self.send_response(206 if start and kind != "wrong" else 200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if kind == "breaks":  # some 300,000 bytes each time
            data = data[:300_000]
        if kind == "stuck" or (kind == "once" and len(self.server.asked) == 1):
            data = data[:1000]
        self.wfile.write(data)

    def log_message(self, *args):
        pass


@contextmanager
def serving():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Home)
    server.asked = []
    server.home = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def server():
    with serving() as found:
        yield found


def remote(server, *kinds, checksum=SHA, name="sets/file.bin"):
    return Remote(name, tuple(f"{server.home}/{kind}" for kind in kinds), checksum)


@pytest.mark.parametrize("checksum", [SHA, "md5:" + hashlib.md5(CONTENT).hexdigest()])
def test_a_file_is_fetched_once(server, tmp_path, checksum):
    wanted = remote(server, "good", checksum=checksum)
    path = fetch(wanted, tmp_path)
    assert path == tmp_path / "sets" / "file.bin"
    assert path.read_bytes() == CONTENT
    assert fetch(wanted, tmp_path) == path
    assert len(server.asked) == 1
    assert [p.name for p in path.parent.iterdir()] == ["file.bin"]


def test_a_broken_download_goes_on_where_it_stopped(server, tmp_path):
    assert fetch(remote(server, "breaks"), tmp_path).read_bytes() == CONTENT
    assert [asked for _, asked in server.asked] == [None, "bytes=300000-", "bytes=600000-"]


def test_it_goes_on_in_another_process(server, tmp_path):
    (tmp_path / "sets").mkdir()
    (tmp_path / "sets" / ".file.bin.part").write_bytes(CONTENT[:500])
    assert fetch(remote(server, "good"), tmp_path).read_bytes() == CONTENT
    assert server.asked == [("/good", "bytes=500-")]


@pytest.mark.parametrize("kind", ["good", "whole"])
@pytest.mark.parametrize("part", [CONTENT, CONTENT[:-1], b"other bytes", b"x" * 800_000], ids=len)
def test_whatever_an_earlier_process_left(server, tmp_path, kind, part):
    (tmp_path / "sets").mkdir()
    (tmp_path / "sets" / ".file.bin.part").write_bytes(part)
    assert fetch(remote(server, kind), tmp_path).read_bytes() == CONTENT


def test_a_home_that_ignores_range(server, tmp_path):
    (tmp_path / "sets").mkdir()
    (tmp_path / "sets" / ".file.bin.part").write_bytes(CONTENT[:500])
    assert fetch(remote(server, "whole"), tmp_path).read_bytes() == CONTENT
    assert server.asked == [("/whole", "bytes=500-")]


def test_another_home_goes_on_where_one_failed(server, tmp_path):
    assert fetch(remote(server, "absent", "once", "good"), tmp_path).read_bytes() == CONTENT


def test_wrong_bytes_are_not_kept(server, tmp_path):
    assert fetch(remote(server, "wrong", "good"), tmp_path).read_bytes() == CONTENT
    with pytest.raises(DataError, match="wrong checksum"):
        fetch(remote(server, "wrong", name="other.bin"), tmp_path)
    assert not (tmp_path / "other.bin").exists()
    assert not (tmp_path / ".other.bin.part").exists()


def test_one_line_says_what_failed_and_what_to_do(server, tmp_path):
    with serving() as closed:
        pass
    wanted = remote(server, "absent", "wrong")
    wanted = Remote(wanted.name, (*wanted.urls, f"{closed.home}/good"), SHA)
    with pytest.raises(DataError) as caught:
        fetch(wanted, tmp_path)
    text = str(caught.value)
    assert "\n" not in text
    for part in (
        "cannot download file.bin",
        "404 Not Found",
        "other bytes than published",
        "refused",
        f"put the file at {tmp_path / 'sets' / 'file.bin'}",
        "--data-dir",
    ):
        assert part in text


def test_many_at_once_fetch_once(server, tmp_path):
    wanted = remote(server, "breaks")
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: fetch(wanted, tmp_path), range(4)))
    assert {path.read_bytes() for path in paths} == {CONTENT}
    assert len(server.asked) == 3
    assert [p.name for p in paths[0].parent.iterdir()] == ["file.bin"]


def test_no_place_to_write(tmp_path):
    (tmp_path / "sets").write_text("a file where a folder should be")
    with pytest.raises(DataError, match=r"cannot write .*--data-dir"):
        fetch(Remote("sets/file.bin", (), SHA), tmp_path)


def test_where_the_data_folder_is(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADLAB_DATA", str(tmp_path))
    assert data_folder() == tmp_path
    assert data_folder("here").name == "here"
    monkeypatch.delenv("GRADLAB_DATA")
    assert data_folder().parts[-2:] == ("gradlab", "data")


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10", "cifar100"])
def test_datasets_say_where_to_put_their_files(name, tmp_path, monkeypatch):
    def no_net(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr("urllib.request.urlopen", no_net)
    with pytest.raises(DataError, match=r"cannot download .*no network.*put the file at .*gz"):
        load(name, data_dir=tmp_path)
