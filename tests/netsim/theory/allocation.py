"""Bandwidth allocation for a synchronous round, in closed form: the oracle of two schedulers.

A client that is ready at ``ready_at_s`` uploads ``size_bits`` over a bandwidth b at the Shannon
rate ``b log2(1 + A / b)``, where ``A = power * gain / noise density`` [Hz] is its received signal
power over the noise density: power-limited, so that the rate saturates at ``A / ln 2``.

References
----------
The equal-finish form with the W_-1 branch is the one used by Shi et al., "Joint device scheduling
and resource allocation for latency constrained wireless federated learning", arXiv 2007.07174
(recollected, not re-read).
"""

import numpy as np
from jaxtyping import Float
from scipy.optimize import brentq
from scipy.special import lambertw

LN2 = float(np.log(2.0))
TIME_XTOL_S = 1e-12


def shannon_rate_bps(
    bandwidth_hz: Float[np.ndarray, " client"], signal_hz: Float[np.ndarray, " client"]
) -> Float[np.ndarray, " client"]:
    """Rate of a fixed received power over a bandwidth; 0 without bandwidth.

    Parameters
    ----------
    bandwidth_hz
        Bandwidth of each client [Hz], >= 0.
    signal_hz
        Received power over noise density of each [Hz], > 0.
    """
    width_hz = np.where(bandwidth_hz > 0, bandwidth_hz, 1.0)
    return np.where(bandwidth_hz > 0, width_hz * np.log2(1.0 + signal_hz / width_hz), 0.0)


def needed_bandwidth_hz(
    rate_bps: Float[np.ndarray, " client"], signal_hz: Float[np.ndarray, " client"]
) -> Float[np.ndarray, " client"]:
    """Invert :func:`shannon_rate_bps` for the bandwidth.

    With ``R = rate ln 2`` and ``G = R / A``: ``b = -R / (W_-1(-G exp(-G)) + G)``. The branch W_0
    gives back the trivial root ``-G``. Where ``G >= 1`` no bandwidth is enough: inf.

    Parameters
    ----------
    rate_bps
        Wanted rate of each client, > 0.
    signal_hz
        Received power over noise density of each [Hz], > 0.

    Examples
    --------
    >>> b = needed_bandwidth_hz(np.array([2e6]), np.array([3e6]))
    >>> float(np.round(shannon_rate_bps(b, np.array([3e6])), 3)[0])
    2000000.0
    """
    needed = rate_bps * LN2
    ratio = needed / signal_hz
    feasible = ratio < 1.0
    inner = np.where(feasible, ratio, 0.5)
    # Negative except where the ratio is within rounding of 1: no bandwidth is enough there either.
    gap = lambertw(-inner * np.exp(-inner), k=-1).real + inner
    feasible &= gap < 0
    return np.where(feasible, -needed / np.where(feasible, gap, -1.0), np.inf)


def equal_finish_time(
    size_bits: Float[np.ndarray, " client"],
    signal_hz: Float[np.ndarray, " client"],
    ready_at_s: Float[np.ndarray, " client"],
    *,
    bandwidth_hz: float,
) -> tuple[float, Float[np.ndarray, " client"]]:
    """Earliest instant at which all can have finished, and the bandwidths that reach it.

    At the optimum of this min-max problem all end together: the needed bandwidths sum to the band.
    Bandwidths are constant from each client's ``ready_at_s`` on.

    Parameters
    ----------
    size_bits, signal_hz, ready_at_s
        Payload [bit] > 0, received power over noise density [Hz] > 0, and start [s] of each client;
        at least one client.
    bandwidth_hz
        Band to divide [Hz], > 0.

    Returns
    -------
    tuple
        The common finish [s] and each bandwidth [Hz]; they sum to the band.

    Raises
    ------
    ValueError
        If there is no client or a number is out of range.
    """
    if len(size_bits) == 0 or bandwidth_hz <= 0:
        msg = f"need a client and bandwidth_hz > 0, got {len(size_bits)} and {bandwidth_hz}"
        raise ValueError(msg)
    if np.any(size_bits <= 0) or np.any(signal_hz <= 0):
        msg = "size_bits and signal_hz must be > 0 for every client"
        raise ValueError(msg)

    def needed_hz(finish_s: float) -> Float[np.ndarray, " client"]:
        return needed_bandwidth_hz(size_bits / (finish_s - ready_at_s), signal_hz)

    # Latest of: the last start, and what each would need with endless bandwidth.
    low_s = float(np.max(ready_at_s + size_bits * LN2 / signal_hz))
    equal_hz = np.full(len(size_bits), bandwidth_hz / len(size_bits))
    high_s = float(np.max(ready_at_s + size_bits / shannon_rate_bps(equal_hz, signal_hz)))
    if needed_hz(high_s).sum() >= bandwidth_hz:
        return high_s, equal_hz

    def surplus_hz(finish_s: float) -> float:
        return bandwidth_hz - float(np.minimum(needed_hz(finish_s), 1e3 * bandwidth_hz).sum())

    low_s += 1e-12 * (high_s - low_s)
    finish_s = float(brentq(surplus_hz, low_s, high_s, xtol=TIME_XTOL_S, rtol=1e-15))
    return finish_s, needed_hz(finish_s)


def fixed_efficiency_finish_time(
    size_bits: Float[np.ndarray, " client"],
    efficiency_bps_per_hz: Float[np.ndarray, " client"],
    *,
    ready_at_s: float,
    bandwidth_hz: float,
) -> tuple[float, Float[np.ndarray, " client"]]:
    """Equal finish of clients that start together and are not power-limited.

    ``T = t + (1/B) sum s_k / e_k``, shares in proportion to ``s_k / e_k``.

    Parameters
    ----------
    size_bits, efficiency_bps_per_hz
        Payload [bit] and spectral efficiency [bit/s/Hz] of each client, > 0.
    ready_at_s
        Common start [s].
    bandwidth_hz
        Band to divide [Hz], > 0.

    Returns
    -------
    tuple
        The common finish [s] and each fraction of the band.

    Examples
    --------
    >>> finish_s, _ = fixed_efficiency_finish_time(
    ...     np.full(3, 80e6), np.array([4.0, 2.0, 1.0]), ready_at_s=3.0, bandwidth_hz=20e6
    ... )
    >>> finish_s
    10.0
    """
    band_seconds = size_bits / efficiency_bps_per_hz
    return (
        ready_at_s + float(band_seconds.sum()) / bandwidth_hz,
        band_seconds / band_seconds.sum(),
    )


def upload_energy_j(
    duration_s: Float[np.ndarray, "..."],
    *,
    size_bits: float,
    bandwidth_hz: float,
    gain_linear: float,
    noise_density_w_per_hz: float,
    circuit_w: float = 0.0,
) -> Float[np.ndarray, "..."]:
    """Energy of an upload that takes exactly ``duration_s`` at constant power.

    ``E(t) = t (N0 b / h) (2^(s / (b t)) - 1) + P_c t``. Without circuit power it is convex and
    decreases to ``s ln2 N0 / h``: the textbook's advice to be slow. A circuit power turns it into
    a function with a minimum, see :func:`energy_minimal_duration_s`.

    Parameters
    ----------
    duration_s
        Time on the air [s], > 0.
    size_bits, bandwidth_hz
        Payload [bit] and bandwidth [Hz].
    gain_linear
        Received over radiated power.
    noise_density_w_per_hz
        Noise density with the receiver's noise figure [W/Hz].
    circuit_w
        Power drawn besides the radiated one [W].
    """
    noise_w = noise_density_w_per_hz * bandwidth_hz / gain_linear
    exponent = size_bits * LN2 / (bandwidth_hz * duration_s)
    return duration_s * (noise_w * np.expm1(exponent) + circuit_w)


def energy_minimal_duration_s(
    *,
    size_bits: float,
    bandwidth_hz: float,
    gain_linear: float,
    noise_density_w_per_hz: float,
    circuit_w: float,
) -> float:
    """Duration at which :func:`upload_energy_j` is least, for a circuit power > 0.

    Setting the derivative to zero with ``x = s ln2 / (b t)`` and ``N = N0 b / h`` gives
    ``(x - 1) exp(x - 1) = (P_c / N - 1) / e``, hence ``x = 1 + W_0((P_c / N - 1) / e)``.

    Raises
    ------
    ValueError
        If ``circuit_w`` is not positive: slower is then always better.
    """
    if circuit_w <= 0:
        msg = f"circuit_w: must be > 0 for a finite optimum, got {circuit_w}"
        raise ValueError(msg)
    noise_w = noise_density_w_per_hz * bandwidth_hz / gain_linear
    exponent = 1.0 + float(lambertw((circuit_w / noise_w - 1.0) / np.e).real)
    return size_bits * LN2 / (bandwidth_hz * exponent)
