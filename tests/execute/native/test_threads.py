"""Teams of threads: all at once, one team at a time, and their number from the environment."""

import os
import subprocess
import sys
import threading
import time

import pytest

from gradlab.errors import ArgumentError
from gradlab.execute.native import threads
from gradlab.execute.native.threads import each, thread_count, together


@pytest.mark.parametrize(
    ("most", "threads"), [("1", 1), (" 1,4", 1), ("1000", None), ("none", None), ("0", None)]
)
def test_without_a_number_of_its_own_it_keeps_to_that_of_openmp(monkeypatch, most, threads):
    monkeypatch.delenv("GRADLAB_THREADS", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    cores = thread_count()
    monkeypatch.setenv("OMP_NUM_THREADS", most)
    assert thread_count() == (threads or cores)


@pytest.mark.parametrize(("asked", "found"), [("1", 1), ("3", 3), ("64", 64)])
def test_the_environment_says_how_many(asked, found, monkeypatch):
    monkeypatch.setenv("GRADLAB_THREADS", asked)
    assert thread_count() == found


@pytest.mark.parametrize("asked", ["0", "-1", "two", "1.5", " 2x", "²"])
def test_what_is_no_number_from_1_is_an_error(asked, monkeypatch):
    monkeypatch.setenv("GRADLAB_THREADS", asked)
    with pytest.raises(ArgumentError, match=r"GRADLAB_THREADS=.*whole number from 1"):
        thread_count()


def test_without_it_the_cores_of_this_process_count(monkeypatch):
    monkeypatch.delenv("GRADLAB_THREADS", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 2, 5}, raising=False)
    assert thread_count() == 3
    monkeypatch.setenv("GRADLAB_THREADS", "")
    assert thread_count() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert thread_count() == 1


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_team_runs_at_the_same_time(count):
    """Each waits until all are there, or the barrier breaks."""
    barrier = threading.Barrier(count, timeout=10)
    seen = []

    def work(number):
        barrier.wait()
        seen.append((number, threading.get_ident()))
        return 10 + number

    assert together(work, count) == 10
    assert sorted(number for number, _ in seen) == list(range(count))
    assert len({thread for _, thread in seen}) == count
    assert (0, threading.get_ident()) in seen


def test_teams_from_several_threads_do_not_mix():
    """A team that had to wait for a thread that another holds would wait for ever."""
    inside, most = [], []

    def team():
        barrier = threading.Barrier(3, timeout=10)

        def work(number):
            inside.append(number)
            barrier.wait()
            most.append(len(inside))
            barrier.wait()
            inside.remove(number)
            return number

        for _ in range(20):
            together(work, 3)

    callers = [threading.Thread(target=team) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(timeout=20)
    assert not any(caller.is_alive() for caller in callers)
    assert set(most) == {3}
    assert len(most) == 4 * 20 * 3


def test_teams_of_changing_size():
    for count in (3, 2, 4, 2, 3):
        seen = set()
        together(lambda number, seen=seen: seen.add(number) or 0, count)
        assert seen == set(range(count))
    assert len(threads._pools) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_process_has_a_team_of_its_own():
    """The threads of a pool do not come along; waiting for them would never end."""
    script = """
import os
from gradlab.execute.native.threads import together
together(lambda number: number, 2)
child = os.fork()
if child == 0:
    os._exit(together(lambda number: 7 + number, 2))
_, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status))
"""
    command = [sys.executable, "-W", "ignore", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "7\n"


def test_each_keeps_the_order_whoever_is_first():
    def work(x):
        time.sleep(0.002 * (7 - x % 7))
        return x * x

    assert each(work, range(20), 3) == [x * x for x in range(20)]
    assert each(work, [], 2) == []


def test_each_takes_items_as_they_are_needed():
    """A generator of large states is not emptied beforehand."""
    taken, finished = [], []

    def items():
        for i in range(50):
            taken.append(i)
            assert len(taken) - len(finished) <= 2 * 2 + 2
            yield i

    assert each(lambda x: finished.append(x) or x, items(), 2) == list(range(50))


def test_each_raises_the_first_error():
    def work(x):
        if x in (3, 5):
            raise KeyError(x)
        return x

    with pytest.raises(KeyError, match="3"):
        each(work, range(8), 2)


def test_who_waits_for_a_thread_that_cannot_start_is_let_go(monkeypatch):
    go = threading.Event()
    pool = threads._pool(2)
    submit = pool.submit

    def once(work, thread):
        if thread == 2:
            raise RuntimeError("can't start new thread")
        return submit(work, thread)

    monkeypatch.setattr(pool, "submit", once)
    with pytest.raises(RuntimeError, match="new thread"):
        together(lambda thread: go.wait(30) and 0, 3, abort=go.set)
    assert go.is_set()
    monkeypatch.undo()
    assert together(lambda thread: thread + 1, 3) == 1
