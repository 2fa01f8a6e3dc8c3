"""Whether a mobility trace can be a walk or a drive in the service area, in metres and seconds.

A trace of another unit or another origin is read without an error of its own: milliseconds make
clients stand still or leap, kilometres and degrees put them all in one place, a Unix time lets them
rest until the run is long over. Each is refused here with what gives it away.
"""

from collections.abc import Mapping

import numpy as np

from netsim.config.world import MAX_INSTANT_S, MAX_SPEED_MPS, MIN_SPREAD_M
from netsim.world.area import Area
from netsim.world.mobility.trace import Points, read_trace

MIN_FASTEST_MPS = 0.03
"""Least speed of the fastest leg of a trace in which somebody goes anywhere (our choice): a walk of
1.5 m/s is slower than that in kilometres, degrees or milliseconds."""
MIN_WALK_M = 10.0
"""Distance between two places of a client from which on it has gone somewhere (our choice)."""
MAX_QUIET_START_S = 3600.0
"""Latest first row of a trace that lasts shorter than that (our choice)."""
_UNITS = "at_s is in seconds from the start of the run, x_m and y_m in metres from the origin"


def find_trace_faults(path: str, *, area: Area, num_clients: int) -> list[str]:
    """Return why a trace cannot be used, one line a kind of fault.

    Parameters
    ----------
    path
        The trace file.
    area
        Service area that contains all positions.
    num_clients
        Clients 0 .. num_clients - 1 must have rows.
    """
    try:
        points = read_trace(path)
    except ValueError as error:
        return [str(error)]
    faults = [
        _missing(points, num_clients),
        _too_fast(points),
        _other_clock(points),
        _too_slow(points, area),
        _outside(points, area),
    ]
    return [f"trace {path}: {fault}" for fault in faults if fault is not None]


def _missing(points: Mapping[int, Points], num_clients: int) -> str | None:
    missing = [client_id for client_id in range(num_clients) if client_id not in points]
    if not missing:
        return None
    return (
        f"has no rows of client {missing[0]} ({len(missing)} of {num_clients} clients are missing)"
    )


def _too_fast(points: Mapping[int, Points]) -> str | None:
    """Find legs that nothing on the ground covers in their time."""
    too_fast = [
        client_id
        for client_id, own in points.items()
        if _speeds_mps(own).max(initial=0.0) > MAX_SPEED_MPS
    ]
    if not too_fast:
        return None
    at_s, x_m, y_m = points[too_fast[0]]
    k = int((_speeds_mps(points[too_fast[0]]) > MAX_SPEED_MPS).argmax())
    length_m = np.hypot(x_m[k + 1] - x_m[k], y_m[k + 1] - y_m[k])
    lasts_s = at_s[k + 1] - at_s[k]
    return (
        f"client {too_fast[0]} covers {length_m:g} m in {lasts_s:g} s from {at_s[k]:g} s on, "
        f"{length_m / lasts_s:.4g} m/s; nobody is faster than {MAX_SPEED_MPS:g} m/s "
        f"({len(too_fast)} of {len(points)} clients are): {_UNITS}"
    )


def _other_clock(points: Mapping[int, Points]) -> str | None:
    """Find rows that the run does not reach, or has not when it begins."""
    first_s = min(float(at_s[0]) for at_s, _, _ in points.values())
    last_s = max(float(at_s[-1]) for at_s, _, _ in points.values())
    lasts_s = last_s - first_s
    if first_s > MAX_INSTANT_S or (lasts_s > 0 and first_s > max(MAX_QUIET_START_S, lasts_s)):
        return (
            f"begins at {first_s:.12g} s and lasts {lasts_s:.6g} s: until then every client would "
            f"rest; at_s counts from the start of the run, subtract {first_s:.12g}"
        )
    if last_s < 0:
        return f"ends at {last_s:.12g} s, before the run begins at 0 s"
    return None


def _too_slow(points: Mapping[int, Points], area: Area) -> str | None:
    """Find clients that go somewhere at a pace that nobody goes, or all within a hand's breadth."""
    fastest_mps = max(float(_speeds_mps(own).max(initial=0.0)) for own in points.values())
    if not 0 < fastest_mps < MIN_FASTEST_MPS:
        return None
    spread_m = {client_id: _diagonal_m(own) for client_id, own in points.items()}
    farthest = max(spread_m, key=lambda client_id: spread_m[client_id])
    if spread_m[farthest] >= MIN_WALK_M:
        return (
            f"client {farthest} covers {spread_m[farthest]:g} m, but nobody is ever faster than "
            f"{fastest_mps:.3g} m/s (a walk is {MIN_FASTEST_MPS:g} m/s or more): {_UNITS}"
        )
    low_x_m, low_y_m, high_x_m, high_y_m = _box_m(points)
    whole_m = float(np.hypot(high_x_m - low_x_m, high_y_m - low_y_m))
    if whole_m < max(MIN_SPREAD_M, min(MIN_WALK_M, area.diameter_m / 100)):
        return (
            f"all clients stay within {whole_m:.3g} m of each other and are at most "
            f"{fastest_mps:.3g} m/s fast, as in kilometres or degrees: {_UNITS}"
        )
    return None


def _outside(points: Mapping[int, Points], area: Area) -> str | None:
    outside = [
        (client_id, int(rows[0]))
        for client_id, (_, x_m, y_m) in points.items()
        if len(rows := np.flatnonzero(~area.contains(np.stack([x_m, y_m], axis=1))))
    ]
    if not outside:
        return None
    client_id, k = outside[0]
    at_s, x_m, y_m = points[client_id]
    fault = (
        f"client {client_id} is outside the service area at {at_s[k]:g} s "
        f"({x_m[k]:.12g} m, {y_m[k]:.12g} m; {len(outside)} of {len(points)} clients are at times)"
    )
    box_m, bounds_m = _box_m(points), area.bounds_m
    is_apart = any(
        box_m[axis] > bounds_m[axis + 2] or box_m[axis + 2] < bounds_m[axis] for axis in (0, 1)
    )
    if not is_apart:
        return fault
    return (
        f"{fault}; the trace lies at {_shown(box_m)}, the area at {_shown(bounds_m)}: "
        "both count from one origin"
    )


def _shown(box_m: tuple[float, float, float, float]) -> str:
    low_x_m, low_y_m, high_x_m, high_y_m = box_m
    return f"x {low_x_m:.12g} to {high_x_m:.12g} m and y {low_y_m:.12g} to {high_y_m:.12g} m"


def _speeds_mps(points: Points) -> np.ndarray:
    """Return the speed of each leg of one client."""
    at_s, x_m, y_m = points
    with np.errstate(over="ignore"):  # a leap beyond all numbers is too fast, too
        speeds_mps: np.ndarray = np.hypot(np.diff(x_m), np.diff(y_m)) / np.diff(at_s)
    return speeds_mps


def _diagonal_m(points: Points) -> float:
    """Return the diagonal of the box around the places of one client."""
    _, x_m, y_m = points
    return float(np.hypot(np.ptp(x_m), np.ptp(y_m)))


def _box_m(points: Mapping[int, Points]) -> tuple[float, float, float, float]:
    """Return smallest x, smallest y, largest x and largest y of all clients."""
    x_m = np.concatenate([own[1] for own in points.values()])
    y_m = np.concatenate([own[2] for own in points.values()])
    return float(x_m.min()), float(y_m.min()), float(x_m.max()), float(y_m.max())
