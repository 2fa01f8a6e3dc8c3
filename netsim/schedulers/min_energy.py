"""Minimum energy: one transfer after another, the shortest first, no more band than pays off."""

import numpy as np
from jaxtyping import Float

from netsim.schedulers.view import CellView, same_in_every_group
from netsim.ue_energy import TRANSMIT_BASE_PU, TRANSMIT_SLOPE_PU_PER_W

ENERGY_SLACK = 0.05
BISECTIONS = 30


class MinEnergy:
    """Keep the sum of the energies that the clients' radios spend low (a rule of our own).

    A radio that transmits draws most of its power whatever it radiates (TR 38.840: 250 units at
    0 dBm, 700 at 23 dBm), so energy is saved by being on the air for a short time: the energy of
    transfer k alone, ``remaining_k * P_k(fraction) / rate_k(fraction)``, falls with the fraction.
    Sharing the band stretches everybody; one after another does not. Hence the transfers are
    served in the order of their remaining time with the whole band, shortest first (Smith's rule
    for equal waiting power). Each takes the narrowest fraction whose energy is within 5 % of that
    with all the band that is left: a power-limited client gains next to nothing from more, and the
    rest goes to the next in line. What nobody wants goes to the first. The textbook objective
    without a circuit part is minimised by the opposite, see
    :func:`netsim.allocation.upload_energy_j`.
    """

    def shares(self, view: CellView) -> Float[np.ndarray, "transfer group"]:
        """Give the band in the order of remaining time."""
        num = len(view.client_id)
        rate = view.rate_bps(np.ones(num))
        with np.errstate(divide="ignore"):
            alone_s = view.remaining_bits / rate
        order = np.lexsort((view.client_id, view.requested_at_s, alone_s))
        reachable = np.isfinite(alone_s)
        if not reachable.any():
            return same_in_every_group(np.full(num, 1.0 / num), view)
        fraction = np.zeros(num)
        left = 1.0
        for k in order[: reachable.sum()]:
            fraction[k] = _narrowest(view, int(k), left)
            left -= fraction[k]
            if left <= 1e-3:
                break
        fraction[order[0]] += max(0.0, 1.0 - fraction.sum())
        return same_in_every_group(np.minimum(fraction, 1.0), view)


def _narrowest(view: CellView, k: int, left: float) -> float:
    """Give the narrowest fraction that costs transfer ``k`` at most 5 % more than ``left``."""

    def energy_per_bit(fraction: float) -> float:
        trial = np.zeros(len(view.client_id))
        trial[k] = fraction
        rate = float(view.rate_bps(trial)[k])
        power = TRANSMIT_BASE_PU + TRANSMIT_SLOPE_PU_PER_W * float(view.power_w(trial)[k])
        return power / rate if rate > 0 else np.inf

    limit = (1 + ENERGY_SLACK) * energy_per_bit(left)
    low, high = 0.0, left
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        if energy_per_bit(middle) > limit:
            low = middle
        else:
            high = middle
    return high
