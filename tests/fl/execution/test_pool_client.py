"""One end of the pool: an interrupt at any message loses no answer and mixes none up."""

import signal
import threading
from multiprocessing import Pipe

import pytest

from fl.execution.pool_client import NOT_THERE, STOPPED, THERE, PoolClient, WorkerDiedError


@pytest.fixture
def raising():
    """Interrupts raise, also where a shell has started the tests with them ignored."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, handler)


@pytest.fixture
def client():
    """An end of a pool that answers at once, as :class:`WorkerPool` does."""
    ours, theirs = Pipe()

    def serve():
        answers = {}
        try:
            while True:
                what, number, *others = ours.recv()
                if what == "submit":
                    answers[number] = b"answer to " + others[-1]
                elif what == "wait":
                    ours.send_bytes(answers.pop(number, b""))
                elif what == "stop":
                    ours.send_bytes(STOPPED)
                elif what == "look":
                    ours.send_bytes(THERE if number in answers else NOT_THERE)
                else:
                    answers.pop(number, None)
        except (EOFError, OSError):
            return

    thread = threading.Thread(target=serve)
    thread.start()
    client = PoolClient(theirs)
    yield client
    client.close()
    thread.join()


class InterruptedAt:
    """A connection at whose ``step``-th message, sent or read, an interrupt comes."""

    def __init__(self, connection, step):
        self._connection, self._step = connection, step
        self.num_steps = 0

    def __getattr__(self, name):
        return getattr(self._connection, name)

    def send(self, message):
        self._interrupt()
        self._connection.send(message)
        self._interrupt()

    def recv_bytes(self):
        self._interrupt()
        answer = self._connection.recv_bytes()
        self._interrupt()
        return answer

    def _interrupt(self):
        self.num_steps += 1
        if self.num_steps == self._step:
            signal.raise_signal(signal.SIGINT)


# Before and after each of the three messages that are sent and the two that are read.
@pytest.mark.parametrize("step", range(1, 11))
def test_wherever_an_interrupt_comes_every_answer_is_there(client, raising, step):
    number = client.submit(b"a", recipe="r", flop=0)
    client._connection = InterruptedAt(client._connection, step)

    def talk():
        assert client.has_answer(number)
        assert client.submit(b"b", recipe="r", flop=0) == number + 1
        assert client.result(number) == b"answer to a"

    with pytest.raises(KeyboardInterrupt):
        talk()
    assert client.has_answer(number)
    assert client.result(number) == b"answer to a"
    other = client.submit(b"c", recipe="r", flop=0)
    assert client.result(other) == b"answer to c"


def test_an_answer_is_kept_until_its_job_is_dropped(client):
    number = client.submit(b"a", recipe="r", flop=0)
    assert [client.result(number) for _ in range(2)] == [b"answer to a"] * 2
    client.drop(number)
    assert not client.has_answer(number)
    with pytest.raises(WorkerDiedError):
        client.result(number)
