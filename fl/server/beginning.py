"""How jobs begin and what they announce to send, worked out once for those that begin alike."""

from functools import cached_property
from types import MappingProxyType

from fl.methods.base import Method, base_of, server_part
from fl.payload import Payload, Tensors
from fl.training.job import Start

NO_TENSORS: Tensors = MappingProxyType({})


class Beginning:
    """Where a job begins, and what follows from that before it runs.

    Parameters
    ----------
    method
        What works it out.
    download
        What the client received, ``None``: nothing.
    personal
        What it holds of its own.
    version
        Version of the server that it begins from.
    at_server
        What the server holds of the job, which does not cross the link.
    """

    def __init__(
        self,
        method: Method,
        download: Payload | None,
        personal: Tensors,
        *,
        version: int,
        at_server: Tensors = NO_TENSORS,
    ) -> None:
        self._method = method
        self.download = download
        self.version = version
        held = {**personal, **at_server} if at_server else personal
        self.start: Start = method.start(download, held, version=version)

    @cached_property
    def upload(self) -> Payload | None:
        """What the client will send, with the values of the start: shapes alone count."""
        trained = {**self.start.tensors, **self.start.client_outputs}
        return self._method.upload(trained, version=self.version)

    @cached_property
    def base(self) -> Tensors:
        """What the update begins from; see ``Contribution.base``."""
        return base_of(self._method, self._merged(self.upload, self.start.tensors), self.start)

    def upload_of(self, trained: Tensors) -> Payload | None:
        """Return what the client sends after training."""
        if trained is self.start.tensors and not self.start.client_outputs:
            return self.upload  # nothing was trained
        return self._method.upload(trained, version=self.version)

    def update_of(self, received: Payload | None, trained: Tensors) -> Payload | None:
        """Return what the server merges: what it received, and what it held of the job."""
        return self._merged(received, trained)

    def _merged(self, sent: Payload | None, trained: Tensors) -> Payload | None:
        at_server = server_part(self._method, trained)
        if sent is None or not at_server:
            return sent
        return Payload({**sent.tensors, **at_server})


class Beginnings:
    """Beginnings of a federation's jobs.

    Clients that hold nothing of their own and received the same object begin alike.
    """

    def __init__(self) -> None:
        self._last: tuple[Method, Beginning] | None = None

    def begin(
        self,
        method: Method,
        download: Payload | None,
        personal: Tensors,
        *,
        version: int,
        at_server: Tensors = NO_TENSORS,
    ) -> Beginning:
        """Return how a job begins from what its client received and holds.

        Arguments are those of :class:`Beginning`.
        """
        if self._last is not None and not personal:
            of, last = self._last
            if of is method and last.version == version and last.download is download:
                return last
        found = Beginning(method, download, personal, version=version, at_server=at_server)
        if not personal:
            self._last = method, found
        return found
