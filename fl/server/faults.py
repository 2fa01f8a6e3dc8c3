"""Faults of the server: it crashes, loses what is not merged, and comes back."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import count, pairwise
from typing import Annotated, Any

import simpy
from annotated_types import Ge, Gt

from fl.network import Streams
from fl.problems import Problem
from fl.server.presence import Presence


@dataclass(frozen=True, kw_only=True)
class ServerCrash:
    """One crash."""

    at_s: Annotated[float, Ge(0)]
    """When [s]."""
    down_s: Annotated[float, Ge(0)]
    """How long the server is away [s]."""


@dataclass(frozen=True, kw_only=True)
class ServerCrashRate:
    """Crashes at random."""

    mean_up_s: Annotated[float, Gt(0)]
    """Mean time from a return, or from 0 s, to the next crash, exponentially distributed [s]."""
    mean_down_s: Annotated[float, Gt(0)]
    """Mean time for which the server is away, exponentially distributed [s]."""


@dataclass(frozen=True, kw_only=True)
class FaultsConfig:
    """What breaks beside clients; outages of sites are ``radio.outages`` and ``outage_rate``."""

    server_crashes: tuple[ServerCrash, ...] = ()
    """Planned crashes of the server, in order of time."""
    server_crash_rate: ServerCrashRate | None = None
    """Crashes at random; none when empty."""


def find_problems(
    config: FaultsConfig, *, path: tuple[str, ...] = ("faults",)
) -> Iterator[Problem]:
    """Find crashes that are planned and drawn as well, or out of order."""
    if config.server_crashes and config.server_crash_rate is not None:
        rule = "has no place beside server_crashes: give planned crashes or a rate"
        yield Problem((*path, "server_crash_rate"), rule)
    for index, (first, second) in enumerate(pairwise(config.server_crashes), 1):
        back_at_s = first.at_s + first.down_s
        if second.at_s <= back_at_s:
            rule = f"must be > {back_at_s:g}, when the server is back, got {second.at_s:g}"
            yield Problem((*path, "server_crashes", str(index), "at_s"), rule)


def crash(
    env: simpy.Environment, config: FaultsConfig, presence: Presence, *, streams: Streams
) -> Generator[simpy.Event, Any, None]:
    """Let the server crash and come back as a SimPy process.

    Parameters
    ----------
    env
        Clock of the run.
    config
        When.
    presence
        Who is at work.
    streams
        Addressed randomness. Used: ``fault`` (number of the crash, from 0).
    """
    for up_s, down_s in _stretches(config, streams):
        if up_s > 0:
            yield env.timeout(up_s)
        presence.crash_server(down_s=down_s)
        yield env.timeout(down_s)


def _stretches(config: FaultsConfig, streams: Streams) -> Iterator[tuple[float, float]]:
    """Return how long the server is there and away, crash by crash."""
    back_at_s = 0.0
    for each in config.server_crashes:
        yield each.at_s - back_at_s, each.down_s
        back_at_s = each.at_s + each.down_s
    rate = config.server_crash_rate
    if rate is None:
        return
    for number in count():
        up, down = streams("fault", number).exponential(size=2)
        yield float(up) * rate.mean_up_s, float(down) * rate.mean_down_s
