"""Minimum energy: one transfer after another with the whole band, the shortest first."""

import numpy as np
from jaxtyping import Float

from netsim.schedulers.view import CellView, same_in_every_group


class MinEnergy:
    """Keep the energy that the clients' radios spend low (a rule of our own).

    A radio that transmits draws most of its power whatever it radiates (TR 38.840: 250 units at
    0 dBm, 700 at 23 dBm, 100 when it waits), so energy is saved by being on the air for a short
    time. The energy of transfer k alone, ``remaining_k * drawn_power_k / rate_k(fraction)``, falls
    with the fraction: sharing stretches everybody, one after another does not. Among the orders of
    serving one after another, the shortest remaining time first makes the sum of waiting times
    least (Smith's rule for equal waiting power), and the energy on the air is the same in all of
    them. The textbook objective, radiated energy only, is minimised by the opposite: see
    :func:`netsim.allocation.upload_energy_j`. Transfers without any rate wait.
    """

    reads_average = False
    takes_turns = True

    def shares(self, view: CellView) -> Float[np.ndarray, "transfer group"]:
        """Give everything to the transfer that would end first alone; equal ones by request."""
        num = len(view.client_id)
        with np.errstate(divide="ignore"):
            alone_s = view.remaining_bits / view.rate_bps(np.ones(num))
        first = np.lexsort((view.client_id, view.requested_at_s, alone_s))[0]
        return same_in_every_group(np.eye(num)[first], view)
