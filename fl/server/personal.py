"""What clients hold of their own, worked out when somebody asks for it."""

from dataclasses import dataclass

from fl.execution.executor import JobHandle
from fl.methods.base import Method
from fl.payload import Tensors
from fl.server.state_place import StatePlace
from fl.training.job import TrainResult


@dataclass(frozen=True, slots=True)
class _Finished:
    """The last finished job of a client whose tensors nobody has asked for yet."""

    handle: JobHandle[TrainResult]
    is_sent: bool


class PersonalTensors:
    """The tensors that never leave a client, by client id.

    A client whose upload was lost keeps what it trained for itself, and holds everything else as
    before. A job runs when what came of it is first asked for: by the client's next job, or by an
    evaluation. A client that never finished a job has no entry: untrained clients cost no memory.

    Parameters
    ----------
    method
        Whose tensors they are.
    place
        Where they are; ``None``: in memory, all of them.
    """

    def __init__(self, method: Method, place: StatePlace | None = None) -> None:
        self._method = method
        self.place = StatePlace() if place is None else place
        self._versions: dict[int, int] = {}
        self._finished: dict[int, _Finished] = {}

    def __contains__(self, client_id: int) -> bool:
        """Whether a client holds anything that it has trained."""
        return client_id in self._versions or client_id in self._finished

    def of(self, client_id: int) -> Tensors:
        """Return what a client holds; runs its last job if nothing has yet."""
        last = self._finished.get(client_id)
        if last is not None:
            after = self._method.personal(last.handle.result().tensors)
            if last.is_sent:
                self._put(client_id, after)
            else:
                trained = {name: after[name] for name in self._method.self_trained}
                self._put(client_id, {**self.held(client_id), **trained})
                last.handle.drop()
            del self._finished[client_id]
        return self.held(client_id)

    def version_of(self, client_id: int) -> int:
        """Return how often what a client holds has changed; runs its last job if nothing has yet.

        The tensors are read from no file for it.
        """
        if client_id in self._finished:
            self.of(client_id)
        return self._versions.get(client_id, 0)

    def held(self, client_id: int) -> Tensors:
        """Return the same without its last job, which does not run: names and shapes are equal."""
        held = self.place.get(client_id)
        return self._method.initial_personal(client_id) if held is None else held

    def keep(self, client_id: int, tensors: Tensors) -> None:
        """Let a client hold these from now on."""
        self._put(client_id, tensors)
        self._finished.pop(client_id, None)

    def keep_sent(self, client_id: int, handle: JobHandle[TrainResult]) -> None:
        """Let a client hold what it keeps of a job whose update the server has received."""
        self._finished[client_id] = _Finished(handle, is_sent=True)

    def keep_unsent(self, client_id: int, handle: JobHandle[TrainResult]) -> None:
        """Let a client hold what it trained for itself in a job whose update was lost.

        Where the method trains nothing for the client alone, the job is dropped and never runs.
        """
        if self._method.self_trained:
            self._finished[client_id] = _Finished(handle, is_sent=False)
        else:
            self._finished.pop(client_id, None)
            handle.drop()

    def leave_out(self, client_id: int, handle: JobHandle[TrainResult]) -> None:
        """Treat a received update as lost; no effect where somebody has asked for it since."""
        if self._is_last(client_id, handle):
            self.keep_unsent(client_id, handle)

    def work_out(self, client_id: int, handle: JobHandle[TrainResult]) -> None:
        """Work out what a client holds if this was its last job: then the job may be freed."""
        if self._is_last(client_id, handle):
            self.of(client_id)

    def _put(self, client_id: int, tensors: Tensors) -> None:
        self.place.put(client_id, tensors)
        self._versions[client_id] = self._versions.get(client_id, 0) + 1

    def _is_last(self, client_id: int, handle: JobHandle[TrainResult]) -> bool:
        last = self._finished.get(client_id)
        return last is not None and last.handle is handle
