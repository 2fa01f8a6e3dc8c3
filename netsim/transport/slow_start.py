"""What slow start costs beside sending at the full rate: waits for acknowledgements."""

import math


def slow_start_s(
    size_bytes: int, rate_bps: float, *, rtt_s: float, initial_window_bytes: int
) -> float:
    """Return how much longer a transfer takes because its window grows from a small one [s].

    Window k = 0, 1, ... has ``W 2^k`` bytes and is sent at the rate R. The next one waits for the
    acknowledgements of this one, one round trip after its start: the sender pauses for
    ``rtt - W 2^k / R`` where that is positive. After the last window nobody waits. With K windows
    (``W (2^K - 1)`` bytes hold the transfer), Q of which are smaller than what the link carries in
    a round trip, P = min(Q, K - 1) pauses sum up to ``P rtt - W (2^P - 1) / R``.

    Parameters
    ----------
    size_bytes
        Size of the transfer, at least 1.
    rate_bps
        Rate of its link; at 0 it has no pauses of its own.
    rtt_s
        Round-trip time [s].
    initial_window_bytes
        W, at least 1.

    Examples
    --------
    >>> round(slow_start_s(3_000_000, 20e6, rtt_s=0.05, initial_window_bytes=14_600), 4)
    0.1124
    """
    if rate_bps <= 0:
        return 0.0
    first_s = 8.0 * initial_window_bytes / rate_bps
    windows = math.ceil(math.log2(1.0 + size_bytes / initial_window_bytes))
    smaller = math.ceil(math.log2(max(rtt_s / first_s, 1.0)))
    pauses = min(smaller, windows - 1)
    return pauses * rtt_s - first_s * (2.0**pauses - 1.0)
