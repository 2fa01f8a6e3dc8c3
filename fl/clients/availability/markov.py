"""Markov on/off: clients come and leave after exponentially distributed times."""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Gt
from jaxtyping import Bool

from fl.clients.availability.addressed import uniforms
from fl.clients.availability.model import ClientIds, Instants


@dataclass(frozen=True, kw_only=True)
class MarkovAvailability:
    """Present and absent in turn, each for an exponentially distributed time; stationary from 0 s.

    At any instant a client is present with probability ``mean_on_s / (mean_on_s + mean_off_s)``.
    """

    mean_on_s: Annotated[float, Gt(0)]
    """Mean time for which a client stays [s]."""
    mean_off_s: Annotated[float, Gt(0)]
    """Mean time for which it is away [s]."""
    kind: Literal["markov"] = "markov"


class OnOff:
    """The times of every client, followed as far as they were asked for.

    Parameters
    ----------
    config
        Mean times.
    num_clients
        How many clients.
    key
        Of the draws, see :func:`fl.clients.availability.addressed.uniforms`.
    """

    def __init__(self, config: MarkovAvailability, *, num_clients: int, key: int) -> None:
        self._mean_s = np.array([config.mean_off_s, config.mean_on_s])
        self._on_fraction = config.mean_on_s / (config.mean_on_s + config.mean_off_s)
        self._key = key
        # the interval that each client was last followed to
        self._start_s = np.zeros(num_clients)
        self._end_s = np.zeros(num_clients)
        self._index = np.zeros(num_clients, dtype=np.int64)
        self._is_on = np.zeros(num_clients, dtype=np.bool_)
        self._restart(np.arange(num_clients))

    def is_available(self, client_ids: ClientIds, *, at_s: float) -> Bool[np.ndarray, " client"]:
        """Return which are in an interval of presence."""
        self._follow(client_ids, at_s)
        there: Bool[np.ndarray, " client"] = self._is_on[client_ids]
        return there

    def next_change_s(self, client_ids: ClientIds, *, after_s: float) -> Instants:
        """Return the end of the interval that each is in."""
        self._follow(client_ids, after_s)
        ends_s: Instants = self._end_s[client_ids]
        return ends_s

    def _follow(self, client_ids: ClientIds, at_s: float) -> None:
        """Bring clients to the interval that holds an instant, whichever they were in."""
        ids = np.asarray(client_ids)
        self._restart(ids[self._start_s[ids] > at_s])
        behind = np.unique(ids[self._end_s[ids] <= at_s])
        while len(behind):
            self._start_s[behind] = self._end_s[behind]
            self._is_on[behind] = ~self._is_on[behind]
            self._index[behind] += 1
            self._end_s[behind] += self._durations_s(behind)
            behind = behind[self._end_s[behind] <= at_s]

    def _restart(self, client_ids: ClientIds) -> None:
        """Put clients back to the interval that holds 0 s."""
        self._start_s[client_ids] = 0.0
        self._index[client_ids] = 0
        self._is_on[client_ids] = uniforms(self._key, client_ids, -1) < self._on_fraction
        self._end_s[client_ids] = self._durations_s(client_ids)

    def _durations_s(self, client_ids: ClientIds) -> Instants:
        mean_s = self._mean_s[self._is_on[client_ids].astype(np.int64)]
        draws = uniforms(self._key, client_ids, self._index[client_ids])
        durations_s: Instants = -mean_s * np.log(draws)
        return durations_s
