import os

import pytest

from scenarios.errors import RunFailedError
from scenarios.workers import Message, run_tasks


def square(value, emit):
    emit(f"about to square {value}")
    if value == 13:
        msg = "thirteen"
        raise ValueError(msg)
    if value == 99:
        os._exit(9)
    return value * value


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
