"""What the server knows of its clients from their participations: one row a client, in columns."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int


class Roster:
    """Columns by client id, updated when participations begin and end.

    Parameters
    ----------
    num_samples
        Training texts of each client, by id.
    """

    def __init__(self, num_samples: Sequence[int] | Int[np.ndarray, " client"]) -> None:
        num = len(num_samples)
        self.num_samples = np.array(num_samples, dtype=np.int64)
        """Training texts."""
        self.is_busy = np.zeros(num, dtype=np.bool_)
        """Whether a participation is under way."""
        self.times_selected = np.zeros(num, dtype=np.int64)
        """Participations that ended so far."""
        self.last_round = np.zeros(num, dtype=np.int64)
        """Round of the last participation, from 1; 0: there was none."""
        self.last_received = np.zeros(num, dtype=np.int64)
        """Round of the last participation whose update arrived; 0: there was none."""
        self.last_loss = np.full(num, np.nan)
        """Mean training loss of the last update that arrived [nat]; NaN: there was none."""
        self.last_rms_loss = np.full(num, np.nan)
        """Root of the mean square of its texts' losses [nat]."""
        self.last_duration_s = np.full(num, np.nan)
        """Seconds from start to end of the last participation; NaN: there was none."""
        self.spent_j = np.zeros(num)
        """Joules of all participations that ended, radio and compute."""
        self.version_held = np.zeros(num, dtype=np.int64)
        """Server version that the last participation began from."""

    def begin(self, client_id: int, *, version: int) -> None:
        """Note the begin of a participation that starts from a version of the server."""
        self.is_busy[client_id] = True
        self.version_held[client_id] = version

    def free(self, client_id: int) -> None:
        """Note that a participation is no longer under way; its update may yet be merged."""
        self.is_busy[client_id] = False

    def end(
        self,
        client_id: int,
        *,
        round_id: int,
        duration_s: float,
        spent_j: float,
        is_received: bool,
        losses: tuple[float, float] | None,
    ) -> None:
        """Note what came of a participation.

        Parameters
        ----------
        client_id
            Whose.
        round_id
            Round that it counts in, from 1.
        duration_s
            Seconds from its begin to its end.
        spent_j
            Joules that the client spent on it.
        is_received
            Whether the server has its update.
        losses
            Mean of the training loss, and root of the mean square of the losses of texts; ``None``
            when the update did not arrive, or nothing was trained.
        """
        self.times_selected[client_id] += 1
        self.last_round[client_id] = round_id
        self.last_duration_s[client_id] = duration_s
        self.spent_j[client_id] += spent_j
        if is_received:
            self.last_received[client_id] = round_id
        if losses is not None:
            self.last_loss[client_id], self.last_rms_loss[client_id] = losses
