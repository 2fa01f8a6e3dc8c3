"""An interrupt that comes while something must not be left half done waits until it is done."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Those that may be turned into an exception, which comes between any two steps of Python."""


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Run the block to its end before an interrupt takes effect; may be nested.

    For what takes milliseconds: a message to another process, the rows of one round. A signal that
    ends the process at once, or that is ignored, stays as it is. Only the main thread is ever
    interrupted; elsewhere this has no effect.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[tuple[int, FrameType | None]] = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append((number, frame))

    before = {each: now for each in SIGNALS if callable(now := signal.getsignal(each))}
    try:
        for each in before:
            signal.signal(each, note)
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
        for number, frame in came[:1]:
            before[signal.Signals(number)](number, frame)
