"""What the server knows of its clients from their participations: one row a client, in columns."""

from collections.abc import Sequence

import numpy as np


class Roster:
    """Columns by client id, updated when participations begin and end.

    Parameters
    ----------
    num_samples
        Training texts of each client, by id.
    """

    def __init__(self, num_samples: Sequence[int]) -> None:
        num = len(num_samples)
        self.num_samples = np.array(num_samples, dtype=np.int64)
        """Training texts."""
        self.is_busy = np.zeros(num, dtype=np.bool_)
        """Whether a participation is under way."""
        self.version_held = np.zeros(num, dtype=np.int64)
        """Server version that the last participation began from."""
        self.times_selected = np.zeros(num, dtype=np.int64)
        """Participations so far."""
        self.last_round = np.zeros(num, dtype=np.int64)
        """Round of the last participation, from 1; 0: there was none."""
        self.last_loss = np.full(num, np.nan)
        """Mean training loss of the last update that arrived [nat]; NaN: there was none."""

    def begin(self, client_id: int, *, version: int) -> None:
        """Note the begin of a participation that starts from a version of the server."""
        self.is_busy[client_id] = True
        self.version_held[client_id] = version

    def free(self, client_id: int) -> None:
        """Note that a participation is no longer under way; its update may yet be merged."""
        self.is_busy[client_id] = False

    def end(self, client_id: int, *, round_id: int, loss: float | None) -> None:
        """Note what came of a participation; ``loss`` is ``None`` when no update arrived."""
        self.times_selected[client_id] += 1
        self.last_round[client_id] = round_id
        if loss is not None:
            self.last_loss[client_id] = loss
