"""What the server knows of its clients from their participations: one row a client, in columns."""

from collections.abc import Sequence

import numpy as np


class Roster:
    """Columns by client id, updated when participations end.

    Parameters
    ----------
    num_samples
        Training texts of each client, by id.
    """

    def __init__(self, num_samples: Sequence[int]) -> None:
        num = len(num_samples)
        self.num_samples = np.array(num_samples, dtype=np.int64)
        """Training texts."""
        self.times_selected = np.zeros(num, dtype=np.int64)
        """Participations so far."""
        self.last_round = np.zeros(num, dtype=np.int64)
        """Round of the last participation, from 1; 0: there was none."""
        self.last_loss = np.full(num, np.nan)
        """Mean training loss of the last update that arrived [nat]; NaN: there was none."""

    def end(self, client_id: int, *, round_id: int, loss: float | None) -> None:
        """Note the end of a participation; ``loss`` is ``None`` when the update did not arrive."""
        self.times_selected[client_id] += 1
        self.last_round[client_id] = round_id
        if loss is not None:
            self.last_loss[client_id] = loss
