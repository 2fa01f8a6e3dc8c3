"""MMSE combining of a site's receive antennas, which suppresses interferers.

With M antennas, an interferer of power ``P`` at each of them and noise ``N``, MMSE combining (also
optimum or interference rejection combining) has the SINR ``p h^H Q^-1 h`` with ``Q = N I + sum_k
P_k h_k h_k^H``. The vectors ``h`` have independent uniform directions: those of antennas that fade
independently, or of clients in different places whose antennas are correlated. Those of interferers
have the squared norm M at all times, as interfering links do not fade here. The mean over all
directions is ``p M / R``: that of maximum-ratio combining, ``p M / (N + sum_k P_k)``, with a
smaller noise plus interference ``R = p M / SINR``, so one number tells what combining suppresses.

For a single interferer ``M / R = (M - 1) / N + 1 / (N + M P)``. For several we take matrices of
rank one in free directions, for which ``1 / R = (1 - 1 / M) / w_k + 1 / (M (w_k + M P_k))`` and
``R - N = sum_k J_k`` with what is left of each, ``J_k = R - w_k``. Solved for ``J``::

    J_k = 2 R P_k / (R + M P_k + sqrt((R + M P_k)^2 - 4 R P_k)),    R = N + sum_k J_k

This is exact for one interferer, for one antenna (nothing is suppressed), and for K < M interferers
of infinite power, each of which costs one degree of freedom: ``R = N M / (M - K)``. Against drawn
directions R is at most 5 % too small for up to 20 interferers of unequal powers, but 20 % where as
many equal ones of 15 dB over the noise come as there are antennas, and more where they are
stronger still. For many antennas ``J_k`` tends to ``R P_k / (R + M P_k)``, the effective
interference of Tse and Hanly. Transmitters that hold a part of the blocks count with that part of
their ``J``.

Combining knows all channels exactly, so the gain is an upper limit. The fading of the SINR about
its mean stays that of M branches; with strong interferers it would be that of fewer.

References
----------
Winters, "Optimum combining in digital mobile radio with cochannel interference", IEEE JSAC 2(4),
1984 (recollected): M antennas suppress K < M interferers and have the diversity of M - K.
Tse and Hanly, "Linear multiuser receivers: effective interference, effective bandwidth and user
capacity", IEEE Trans. Information Theory 45(2), 1999 (recollected). The form for matrices of rank
one is our derivation.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

RTOL = 1e-4
"""Last step of Newton's method over the value; as errors are squared in each step, what is left is
about 1e-8."""

MOST_STEPS = 30
"""Steps of Newton's method; 4 to 8 are taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InterferenceRejection:
    """MMSE combining at every cell."""

    num_antennas: int
    """Receive antennas of a cell, >= 1."""
    noise_w: float
    """Noise in one block at each antenna [W], > 0."""

    def noise_and_interference_w(
        self,
        received_w: Float[np.ndarray, "*#batch transmitter cell"],
        part: Float[np.ndarray, "*#batch transmitter"],
    ) -> Float[np.ndarray, "*batch cell"]:
        """Return what would lead maximum-ratio combining to the mean SINR of MMSE combining [W].

        Parameters
        ----------
        received_w
            Power of each transmitter in one block at one antenna of each cell [W], >= 0; 0 at the
            cell that serves it.
        part
            Part of the blocks that each holds, in [0, 1].
        """
        weight = part[..., None, :]
        total_w = self.noise_w + weight @ received_w
        span_w, twice_w = self.num_antennas * received_w, 2.0 * received_w
        # What is left is concave in the total and never above what is received: Newton's method
        # falls monotonically from here.
        for _ in range(MOST_STEPS):
            sum_w, product_w2 = total_w + span_w, total_w * twice_w
            root_w = sum_w * sum_w
            root_w -= product_w2
            root_w -= product_w2
            np.sqrt(root_w, out=root_w)
            sum_w += root_w
            left_w = np.divide(product_w2, sum_w, out=product_w2)
            excess_w = total_w - self.noise_w - weight @ left_w
            fall = np.subtract(received_w, left_w, out=left_w)
            fall /= root_w
            step_w = excess_w / (1.0 - weight @ fall)
            total_w = total_w - step_w
            if np.all(np.abs(step_w) <= RTOL * total_w):
                break
        return total_w[..., 0, :]
