"""What slow start costs beside sending at the full rate: waits for acknowledgements."""

import numpy as np
from jaxtyping import Float, Int


def slow_start_s(
    size_bytes: Int[np.ndarray, " transfer"],
    rate_bps: Float[np.ndarray, " transfer"],
    *,
    rtt_s: float,
    initial_window_bytes: int,
) -> Float[np.ndarray, " transfer"]:
    """Return how much longer a transfer takes because its window grows from a small one [s].

    Window k = 0, 1, ... has ``W 2^k`` bytes and is sent at the rate R. The next one waits for the
    acknowledgements of this one, one round trip after its start: the sender pauses for
    ``rtt - W 2^k / R`` where that is positive. After the last window nobody waits. With K windows
    (``W (2^K - 1)`` bytes hold the transfer), Q of which are smaller than what the link carries in
    a round trip, P = min(Q, K - 1) pauses sum up to ``P rtt - W (2^P - 1) / R``.

    Parameters
    ----------
    size_bytes
        Size of each transfer, at least 1.
    rate_bps
        Rate of its link; at 0 it has no pauses of its own.
    rtt_s
        Round-trip time [s].
    initial_window_bytes
        W, at least 1.

    Examples
    --------
    >>> three_megabytes, rate_bps = np.array([3_000_000]), np.array([20e6])
    >>> slow_start_s(three_megabytes, rate_bps, rtt_s=0.05, initial_window_bytes=14_600).round(4)
    array([0.1124])
    """
    first_s = np.full(len(rate_bps), np.inf)
    np.divide(8.0 * initial_window_bytes, rate_bps, out=first_s, where=rate_bps > 0)
    windows = np.ceil(np.log2(1.0 + size_bytes / initial_window_bytes))
    smaller = np.ceil(np.log2(np.maximum(rtt_s / first_s, 1.0)))
    pauses = np.minimum(smaller, windows - 1.0)
    sent_s = np.where(pauses > 0, first_s, 0.0) * (2.0**pauses - 1.0)
    return pauses * rtt_s - sent_s
