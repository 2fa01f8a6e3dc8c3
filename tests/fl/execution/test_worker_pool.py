"""The pool of processes: never more at work than asked for, and nobody waits in vain."""

import time
from multiprocessing import get_context
from pathlib import Path

import pytest

from fl.execution.pool_client import WorkerDiedError
from fl.execution.worker_pool import WorkerPool
from tests.fl.execution.obeying import ask, obey, wait_for

SOON_S = 120.0


@pytest.fixture
def pool():
    pool = WorkerPool(2, serve=obey)
    yield pool
    pool.close()


def begun(*files):
    """Which jobs have begun that wait for these files."""
    return [file.name for file in files if Path(f"{file}.begun").exists()]


def until(condition):
    deadline_s = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


def test_answers_go_to_who_asks_in_any_order(pool):
    first, second = pool.connect(), pool.connect()
    numbers = [ask(first, "x"), ask(first, "y"), ask(first, "z")]
    other = ask(second, "w")
    second.close()
    told = [first.result(number).split()[0] for number in (numbers[2], numbers[0], numbers[1])]
    assert told == [b"z", b"x", b"y"]
    assert other == 0


def test_who_does_not_wait_counts_as_at_work(pool, tmp_path):
    files = [tmp_path / name for name in "abc"]
    client, other = pool.connect(), pool.connect()
    ask(client, f"wait {files[0]}")
    second = ask(client, f"wait {files[1]}")
    time.sleep(0.3)
    assert begun(*files) == []  # two who simulate: no process may work beside them
    other.close()
    until(lambda: begun(*files) == ["a"])
    time.sleep(0.3)
    assert begun(*files) == ["a"]  # one that simulates, one job
    files[0].touch()
    until(lambda: begun(*files) == ["a", "b"])
    files[1].touch()
    assert client.result(second).startswith(b"wait")


def test_who_waits_leaves_room_for_a_job_of_others(pool, tmp_path):
    files = [tmp_path / name for name in "abc"]
    end = pool.connect()
    process = get_context("spawn").Process(target=wait_for, args=(end, files[0]))
    here = pool.here
    process.start()
    end.close()
    numbers = [ask(here, f"wait {file}") for file in files[1:]]
    until(lambda: len(begun(*files)) == 1)
    time.sleep(0.3)
    assert len(begun(*files)) == 1
    for file in files:
        file.touch()
    assert all(here.result(number) for number in numbers)
    process.join(SOON_S)
    assert process.exitcode == 0


def test_dropped_jobs_never_begin_and_their_answers_go(pool, tmp_path):
    files = [tmp_path / name for name in "abc"]
    client = pool.here
    numbers = [ask(client, f"wait {file}") for file in files]
    until(lambda: begun(*files) == ["a"])
    client.drop(numbers[0])  # it runs
    client.drop(numbers[1])
    client.drop(numbers[1])
    files[0].touch()
    files[2].touch()
    assert client.result(numbers[2])
    client.drop(numbers[2])
    assert begun(*files) == ["a", "c"]
    assert (pool._answers, pool._unwanted, len(pool._queue)) == ({}, set(), 0)


def test_a_process_keeps_to_its_recipe_while_there_is_work(pool):
    client = pool.here
    numbers = [ask(client, recipe, recipe=recipe) for recipe in "ababab"]
    answers = [client.result(number).split() for number in numbers]
    of_recipe = {name: {pid for what, pid in answers if what == name} for name in (b"a", b"b")}
    assert sum(map(len, of_recipe.values())) <= 3  # at most one job was taken over


def test_all_who_wait_are_told_when_a_process_dies(pool, tmp_path):
    client = pool.here
    doomed, other = ask(client, "die"), ask(client, f"wait {tmp_path / 'a'}", flop=-1)
    with pytest.raises(WorkerDiedError):
        client.result(doomed)
    with pytest.raises(WorkerDiedError):
        client.result(other)
    with pytest.raises(WorkerDiedError):
        client.result(ask(client, "y"))
    (tmp_path / "a").touch()


class Interrupted:
    """A connection whose reader is interrupted."""

    def __init__(self, connection):
        self.send, self.close, self.poll = connection.send, connection.close, connection.poll

    def recv_bytes(self):
        raise KeyboardInterrupt


def test_an_interrupt_leaves_nobody_waiting(pool, tmp_path):
    client = pool.here
    client._connection = Interrupted(client._connection)
    numbers = [ask(client, f"large {tmp_path}"), ask(client, "x")]
    with pytest.raises(KeyboardInterrupt):
        client.result(numbers[0])
    for number in numbers:
        client.drop(number)
    with pytest.raises(WorkerDiedError):
        ask(client, "x")
    pool.close()  # although nobody reads the answer
    assert not pool._thread.is_alive()


def test_a_closed_pool_answers_nobody(tmp_path):
    pool = WorkerPool(1, serve=obey)
    client = pool.here
    number = ask(client, "x")
    assert client.result(number)
    processes = [each.process for each in pool._processes]
    pool.close()
    pool.close()
    assert [process.exitcode for process in processes] == [0]
    with pytest.raises(WorkerDiedError):
        client.result(ask(client, "x"))
    client.drop(0)


class InterruptedOnce:
    """A connection whose first wait is interrupted, once something is there or at once."""

    def __init__(self, connection, *, is_there):
        self._connection, self._is_there, self._is_due = connection, is_there, True

    def __getattr__(self, name):
        return getattr(self._connection, name)

    def poll(self, timeout):
        if not self._is_due:
            return self._connection.poll(timeout)
        self._is_due = False
        if self._is_there:
            assert self._connection.poll(SOON_S)
        raise KeyboardInterrupt


@pytest.mark.parametrize("is_there", [False, True])
def test_after_an_interrupted_wait_no_answer_is_lost_or_mixed_up(pool, tmp_path, is_there):
    client, file = pool.connect(), tmp_path / "a"
    first, second = ask(client, f"wait {file}"), ask(client, "x")
    if is_there:
        file.touch()
    client._connection = InterruptedOnce(client._connection, is_there=is_there)
    with pytest.raises(KeyboardInterrupt):
        client.result(first)
    assert client.has_answer(first) == is_there
    file.touch()
    assert client.result(second).startswith(b"x")
    assert client.result(first).startswith(b"wait")
    client.drop(first)
    assert not client.has_answer(first)


def test_an_answer_that_nobody_waits_for_any_more_holds_up_nothing(pool, tmp_path):
    client = pool.here
    number = ask(client, f"large {tmp_path}")
    client._connection = InterruptedOnce(client._connection, is_there=True)
    with pytest.raises(KeyboardInterrupt):
        client.result(number)
    client.drop(number)
    pool.close()
    assert not pool._thread.is_alive()


def test_whether_an_answer_is_there_can_be_seen_without_waiting(pool, tmp_path):
    client, file = pool.connect(), tmp_path / "a"
    number = ask(client, f"wait {file}")
    until(lambda: begun(file))
    assert not client.has_answer(number)
    file.touch()
    until(lambda: client.has_answer(number))
    assert client.result(number).startswith(b"wait")
