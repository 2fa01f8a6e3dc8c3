"""What clients hold of their own, worked out when somebody asks for it."""

from fl.execution.executor import JobHandle
from fl.methods.base import Method
from fl.payload import Tensors
from fl.training.job import TrainResult


class PersonalTensors:
    """The tensors that never leave a client, by client id.

    A client whose upload was lost keeps what it trained for itself, and holds everything else as
    before. Its job runs when that is first asked for: by its next job, or by an evaluation. A
    client that never finished a job has no entry: untrained clients cost no memory.
    """

    def __init__(self, method: Method) -> None:
        self._method = method
        self._held: dict[int, Tensors] = {}
        self._unsent: dict[int, JobHandle[TrainResult]] = {}

    def __contains__(self, client_id: int) -> bool:
        """Whether a client holds anything that it has trained."""
        return client_id in self._held or client_id in self._unsent

    def of(self, client_id: int) -> Tensors:
        """Return what a client holds; runs its lost job if nothing has yet."""
        handle = self._unsent.get(client_id)
        if handle is not None:
            after = self._method.personal(handle.result().tensors)
            trained = {name: after[name] for name in self._method.self_trained}
            self._held[client_id] = {**self.held(client_id), **trained}
            handle.drop()
            del self._unsent[client_id]
        return self.held(client_id)

    def held(self, client_id: int) -> Tensors:
        """Return the same without a lost job, which does not run: names and shapes are equal."""
        held = self._held.get(client_id)
        return self._method.initial_personal(client_id) if held is None else held

    def keep(self, client_id: int, tensors: Tensors) -> None:
        """Let a client hold these from now on: what it keeps of an update that was received."""
        self._held[client_id] = tensors

    def keep_unsent(self, client_id: int, handle: JobHandle[TrainResult]) -> None:
        """Let a client hold what it trained for itself in a job whose update was lost.

        Where the method trains nothing for the client alone, the job is dropped and never runs.
        """
        if self._method.self_trained:
            self._unsent[client_id] = handle
        else:
            handle.drop()
