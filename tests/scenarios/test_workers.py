import os
import sys
import time

import pytest

from scenarios import workers
from scenarios.errors import RunFailedError
from scenarios.workers import Message, run_tasks


def square(value, emit):
    emit(f"about to square {value}")
    if value == 13:
        msg = "thirteen"
        raise ValueError(msg)
    if value == 99:
        os._exit(9)
    if value == 7:
        sys.exit(0)
    return value * value


def wait_and_clean_up(path, emit):
    try:
        emit("begun")
        time.sleep(60)
    finally:
        path.write_text("clean")


@pytest.mark.parametrize("num_workers", [1, 2])
def test_results_events_and_failures_arrive(num_workers):
    messages: list[Message] = []
    run_tasks(square, [2, 13, 4], num_workers=num_workers, on_message=messages.append)
    results = {m.index: m.content for m in messages if m.kind == "result"}
    failures = {m.index: m.content for m in messages if m.kind == "failure"}
    events = sorted(m.content for m in messages if m.kind == "event")
    assert results == {0: 4, 2: 16}
    assert list(failures) == [1]
    assert "ValueError: thirteen" in failures[1]
    assert events == ["about to square 13", "about to square 2", "about to square 4"]


def test_a_process_that_dies_is_noticed():
    with pytest.raises(RunFailedError, match="exit code 9"):
        run_tasks(square, [99, 2], num_workers=2, on_message=lambda _: None)


@pytest.mark.parametrize("num_workers", [1, 2])
def test_a_task_that_exits_is_a_failure(num_workers):
    messages: list[Message] = []
    run_tasks(square, [7, 2], num_workers=num_workers, on_message=messages.append)
    failures = {m.index: m.content for m in messages if m.kind == "failure"}
    assert list(failures) == [0]
    assert "SystemExit" in failures[0]


def test_a_task_that_is_ended_cleans_up(tmp_path):
    paths = [tmp_path / "a", tmp_path / "b"]
    begun = []

    def hear(message):
        begun.append(message.index)
        if len(begun) == 2:
            raise KeyboardInterrupt

    started_s = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_tasks(wait_and_clean_up, paths, num_workers=2, on_message=hear)
    assert [path.read_text() for path in paths] == ["clean", "clean"]
    assert time.monotonic() - started_s < 30


class DeadPipe:
    """A connection whose other end is gone."""

    def __init__(self, error):
        self.error = error

    def recv(self):
        raise self.error

    def send(self, content):
        raise self.error


class DeadProcess:
    exitcode = -9

    def join(self, timeout=None):
        pass


@pytest.mark.parametrize("error", [EOFError, ConnectionResetError, BrokenPipeError, OSError])
def test_a_broken_pipe_to_a_worker_is_its_death(error):
    pipe = DeadPipe(error())
    with pytest.raises(RunFailedError, match=r"task 5 died \(exit code -9\)"):
        workers._receive(pipe, {pipe: DeadProcess()}, {pipe: 5})
    if error is not EOFError:
        with pytest.raises(RunFailedError, match=r"task 3 died \(exit code -9\)"):
            workers._hand_out(pipe, [(3, "argument")], {}, {pipe: DeadProcess()})
