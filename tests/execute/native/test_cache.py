"""The disk cache gives back what was put or nothing, whatever happens to its files."""

import hashlib
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradlab.execute.native import cache
from gradlab.execute.native.cache import DiskCache, cache_folder

ROOT = Path(__file__).parents[3]
KEY = "00ff" * 16


def content(key, size=1000):
    """Bytes that tell which key they belong to."""
    return (hashlib.sha256(key.encode()).digest() * (size // 32 + 1))[:size]


def only_file(folder):
    (path,) = folder.iterdir()
    return path


@given(payload=st.binary(max_size=300))
def test_what_was_put_comes_back(payload, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    first, second = DiskCache(folder), DiskCache(folder)
    assert first.get(KEY) is None
    first.put(KEY, b"older")
    first.put(KEY, payload)
    assert second.get(KEY) == payload
    assert second.get(KEY[::-1]) is None
    assert len(list(folder.iterdir())) == 1


def test_files_and_folder_are_their_users_alone(tmp_path):
    kept = DiskCache(tmp_path / "deep" / "cache")
    assert kept.writable
    kept.put(KEY, b"code")
    assert kept.folder.stat().st_mode & 0o777 == 0o700
    assert only_file(kept.folder).stat().st_mode & 0o777 == 0o600


@given(data=st.data())
def test_no_damage_goes_unseen(data, tmp_path_factory):
    kept = DiskCache(tmp_path_factory.mktemp("cache"))
    kept.put(KEY, content(KEY, 100))
    path = only_file(kept.folder)
    whole = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(whole) - 1), "place")
    kind = data.draw(st.sampled_from(["flip", "cut", "insert", "append"]))
    if kind == "flip":
        whole[place] ^= 1 << data.draw(st.integers(0, 7), "bit")
    elif kind == "cut":
        del whole[place:]
    elif kind == "insert":
        whole.insert(place, 0)
    else:
        whole.append(10)
    path.write_bytes(whole)
    assert kept.get(KEY) is None
    assert not path.exists()
    kept.put(KEY, b"again")
    assert kept.get(KEY) == b"again"


def test_nothing_of_another_version_is_taken(tmp_path, monkeypatch):
    kept = DiskCache(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(cache, "version", lambda: "another")
        kept.put(KEY, b"code")
        assert kept.get(KEY) == b"code"
    assert kept.get(KEY) is None
    assert not list(tmp_path.iterdir())


def test_nothing_under_another_key_is_taken(tmp_path):
    kept = DiskCache(tmp_path)
    kept.put(KEY, b"code")
    path = only_file(tmp_path)
    path.rename(path.with_name(KEY[::-1] + path.suffix))
    assert kept.get(KEY[::-1]) is None


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="owners are numbers on POSIX only")
def test_nothing_of_another_user_is_taken(tmp_path, monkeypatch):
    kept = DiskCache(tmp_path)
    kept.put(KEY, b"code")
    only_file(tmp_path).chmod(0o622)
    assert kept.get(KEY) is None
    kept.put(KEY, b"code")
    me = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: me + 1)
    assert not kept.writable
    kept.put(KEY[::-1], b"code")
    assert len(list(tmp_path.iterdir())) == 1
    assert kept.get(KEY) is None
    monkeypatch.undo()
    assert kept.get(KEY) == b"code"


def test_the_least_recently_used_go_first(tmp_path):
    keys = [f"{i:064x}" for i in range(5)]
    size = 1000
    kept = DiskCache(tmp_path, limit=4 * (size + 300))
    for age, key in enumerate(reversed(keys[:4])):
        kept.put(key, content(key, size))
        path = next(p for p in tmp_path.iterdir() if p.name.startswith(key))
        os.utime(path, (1000.0 - age, 1000.0 - age))
    assert kept.get(keys[0]) is not None  # the oldest until now
    kept.put(keys[4], content(keys[4], size))
    assert [kept.get(key) == content(key, size) for key in keys] == [True, False, True, True, True]
    kept.put(keys[1], content(keys[1], 10 * size))  # more than the cache takes: nothing goes for it
    assert sum(kept.get(key) is not None for key in keys) == 4


def test_what_a_kill_left_is_removed_and_other_peoples_files_are_not(tmp_path):
    kept = DiskCache(tmp_path, limit=2000)
    old = tmp_path / f".{KEY}.abc{cache.UNFINISHED}"
    young = tmp_path / f".{KEY}.def{cache.UNFINISHED}"
    other = tmp_path / "notes.txt"
    for path in (old, young, other):
        path.write_bytes(bytes(5000))
    for path in (old, other):
        os.utime(path, (1000.0, 1000.0))
    kept.put(KEY, b"code")
    assert kept.get(KEY) == b"code"
    assert (old.exists(), young.exists(), other.exists()) == (False, True, True)


def test_without_a_folder_nothing_is_kept_and_nothing_raised(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    for folder in (None, blocked, blocked / "below"):
        kept = DiskCache(folder)
        kept.put(KEY, b"code")
        assert kept.get(KEY) is None
        assert not kept.writable
    assert list(tmp_path.iterdir()) == [blocked]


def test_a_read_only_folder_is_read(tmp_path, monkeypatch):
    kept = DiskCache(tmp_path)
    kept.put(KEY, b"code")
    for name in ("access", "utime", "unlink", "open"):  # as root one may write everywhere

        def refuse(*_, name=name, **__):
            if name == "access":
                return False
            raise PermissionError

        monkeypatch.setattr(os, name, refuse)
    assert not kept.writable
    kept.put(KEY, b"new")
    assert kept.get(KEY) == b"code"


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="needs limits of file size")
def test_a_disk_that_is_full_leaves_the_cache_as_it_was(tmp_path):
    script = f"""
import resource, signal
from pathlib import Path
from gradlab.execute.native.cache import DiskCache
kept = DiskCache(Path({str(tmp_path)!r}))
kept.put({KEY!r}, b"code")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
kept.put({KEY!r}, bytes(5000))
kept.put({KEY[::-1]!r}, bytes(5000))
print(kept.get({KEY!r}), kept.get({KEY[::-1]!r}), kept.writable)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("b'code' None True\n", "")
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("given", "folder"),
    [("", None), ("off", None), ("/some/where", Path("/some/where")), ("~", Path.home())],
)
def test_the_environment_says_where(given, folder, monkeypatch):
    monkeypatch.setenv("GRADLAB_CACHE", given)
    assert cache_folder() == folder


def test_by_default_it_is_where_the_system_keeps_caches(monkeypatch):
    monkeypatch.delenv("GRADLAB_CACHE", raising=False)
    assert cache_folder().name.lower() in ("gradlab", "cache")


# --- several processes, and kills -------------------------------------------------------------

KEYS = [hashlib.sha256(bytes([i])).hexdigest() for i in range(12)]
NARROW = 60_000


def hammer(folder, seed, seconds, found):
    """Get and put at random; counts what was hit, and tells of the first wrong bytes."""
    rng = random.Random(seed)
    kept = DiskCache(Path(folder), NARROW)
    hits = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        key = rng.choice(KEYS)
        payload = kept.get(key)
        if payload is None:
            kept.put(key, content(key, 10_000))
        elif payload != content(key, 10_000):
            found.put(f"wrong bytes under {key}")
            return
        else:
            hits += 1
    found.put(hits)


def test_processes_do_not_disturb_one_another(tmp_path):
    context = multiprocessing.get_context("spawn")
    found = context.Queue()
    workers = [
        context.Process(target=hammer, args=(str(tmp_path), seed, 1.5, found)) for seed in range(4)
    ]
    for worker in workers:
        worker.start()
    hits = [found.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert all(isinstance(count, int) and count > 0 for count in hits), hits
    DiskCache(tmp_path, NARROW).put(KEY, b"the last to write sees all that is there")
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= NARROW
    assert all(path.suffix == cache.SUFFIX for path in tmp_path.iterdir())


ENDLESS = """
import hashlib, sys
from pathlib import Path
from gradlab.execute.native.cache import DiskCache
kept = DiskCache(Path(sys.argv[1]))
payloads = {key: hashlib.sha256(key.encode()).digest() * 100_000 for key in sys.argv[2:]}
print("writing", flush=True)
while True:
    for key, payload in payloads.items():
        kept.put(key, payload)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on Windows")
def test_killed_while_writing(tmp_path):
    """Whatever the moment, each key has its bytes or none; kills did hit half-written files."""
    rng = random.Random(0)
    left = kills = 0
    kept = DiskCache(tmp_path)
    while kills < 6 or (left == 0 and kills < 60):
        kills += 1
        process = subprocess.Popen(
            [sys.executable, "-c", ENDLESS, str(tmp_path), *KEYS], cwd=ROOT, stdout=subprocess.PIPE
        )
        assert process.stdout.readline() == b"writing\n"
        time.sleep(rng.uniform(0.0, 0.03))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        for key in KEYS:
            assert kept.get(key) in (None, content(key, 3_200_000))
        left += len(list(tmp_path.glob(f".*{cache.UNFINISHED}")))
    assert left
    for path in tmp_path.iterdir():
        os.utime(path, (1000.0, 1000.0))
    kept.put(KEY, b"code")
    assert kept.get(KEY) == b"code"
    assert not list(tmp_path.glob(f".*{cache.UNFINISHED}"))
