"""A number for each client that a policy remembers from round to round."""

import numpy as np
from jaxtyping import Float, Int


class ClientValues:
    """Numbers by client id, NaN until one is set; ids may be of any size.

    Takes 8 bytes for each id up to the largest one seen.
    """

    def __init__(self) -> None:
        self._values = np.empty(0)

    def of(self, client_ids: Int[np.ndarray, " client"]) -> Float[np.ndarray, " client"]:
        """Return the numbers of some clients, a copy."""
        self._grow(client_ids)
        return self._values[client_ids]

    def set(
        self, client_ids: Int[np.ndarray, " client"], values: Float[np.ndarray, " client"]
    ) -> None:
        """Remember numbers of some clients."""
        self._grow(client_ids)
        self._values[client_ids] = values

    def _grow(self, client_ids: Int[np.ndarray, " client"]) -> None:
        needed = int(client_ids.max(initial=-1)) + 1
        if needed > len(self._values):
            more = np.full(max(needed, 2 * len(self._values)) - len(self._values), np.nan)
            self._values = np.concatenate([self._values, more])
