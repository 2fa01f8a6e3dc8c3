"""Short transport blocks: the SINR that they need beyond that of the longest code block.

The error rates of :mod:`netsim.phy.link_adaptation` are those of code blocks of 8448 bits. A code
of n complex symbols that is to fail with probability e needs the capacity ``C = R + sqrt(V / n)
Qinv(e)`` for R bits per symbol, with the dispersion ``V = (1 - (1 + g)^-2) log2(e)^2`` of SNR g.
The fewer bits a block has, the more SNR that is, and the more below capacity its code works.

Of blocks of 100 and 24 bits, MCS 3 to 9, this makes 0.8 and 1.8 dB more than of 8448 bits. From the
link-level curves that Sionna ships we read 1.0 and 2.0 dB (PDSCH table 1, 10 % errors, each
within 0.5 dB). The term of :mod:`netsim.phy.block_error` that grows with the logarithm of n is
left out here: with it the loss is 0.65 and 1.3 dB. Codes of few bits do not reach it.

Our choices: the loss shifts the curve of 8448 bits, whose waterfall is steeper than that of a short
block, and is exact at the target error rate; it does not depend on the modulation; a transport
block of several code blocks has none, as the loss that many of them have by failing together is
below 0.2 dB. The bits of the CRC are not counted, here and elsewhere.

References
----------
Polyanskiy, Poor, Verdu, "Channel coding rate in the finite blocklength regime", IEEE Trans.
Information Theory 56(5), 2010 (recollected).
"""

import numpy as np
from jaxtyping import Float
from scipy.special import ndtri

from netsim.array_like import ArrayLike
from netsim.phy.block_error import MAX_CODE_BLOCK_BITS

ITERATIONS = 16
"""Of the fixed point for the capacity; each takes off nine tenths of the error or more."""


def length_loss_db(
    size_bits: ArrayLike, *, spectral_efficiency: ArrayLike, target_error: float
) -> Float[np.ndarray, "..."]:
    """Return the SINR that blocks need beyond that of 8448 bits [dB]; the arguments broadcast.

    Parameters
    ----------
    size_bits
        Size of the transport block [bit], > 0; from 8448 bits there is no loss.
    spectral_efficiency
        Bits per symbol R, > 0: modulation order times code rate.
    target_error
        Error rate e at which the blocks are compared, in (0, 1); from 0.5 there is no loss.

    Examples
    --------
    >>> loss_db = length_loss_db([24, 100, 9000], spectral_efficiency=0.49, target_error=0.1)
    >>> loss_db.round(2).tolist()
    [1.77, 0.83, 0.0]
    """
    bits = np.minimum(np.asarray(size_bits, dtype=float), MAX_CODE_BLOCK_BITS)
    rate = np.asarray(spectral_efficiency, dtype=float)
    longest = _needed_snr(np.array(float(MAX_CODE_BLOCK_BITS)), rate, target_error)
    return 10.0 * np.log10(_needed_snr(bits, rate, target_error) / longest)


def _needed_snr(
    bits: Float[np.ndarray, "..."], rate: Float[np.ndarray, "..."], target_error: float
) -> Float[np.ndarray, "..."]:
    """Return the SNR at which blocks have the target error rate, linear."""
    back_off = np.log2(np.e) * max(-float(ndtri(target_error)), 0.0) * np.sqrt(rate / bits)
    capacity = rate + back_off
    for _ in range(ITERATIONS):
        capacity = rate + back_off * np.sqrt(1.0 - 4.0**-capacity)
    return np.exp2(capacity) - 1.0
