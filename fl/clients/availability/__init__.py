"""Availability: when clients are there. One table, one entry a kind."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fl.clients.availability.charging_wifi import Both, ChargingWifiAvailability, overlaps
from fl.clients.availability.daily import DailyWindows, window_fault
from fl.clients.availability.diurnal import DiurnalAvailability
from fl.clients.availability.markov import MarkovAvailability, OnOff
from fl.clients.availability.model import Always, Availability
from fl.clients.availability.trace import FromTrace, TraceAvailability, read_trace
from fl.network import Streams
from fl.problems import Problem

PURPOSE = "availability"
"""Purpose of the draws."""


@dataclass(frozen=True, kw_only=True)
class AlwaysAvailable:
    """Present all the time."""

    kind: Literal["always"] = "always"


AvailabilityConfig = (
    AlwaysAvailable
    | MarkovAvailability
    | DiurnalAvailability
    | ChargingWifiAvailability
    | TraceAvailability
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AvailabilityEntry:
    """One kind as the scenario sees it."""

    config: type[Any]
    """Class of its settings."""
    build: Callable[[Any, int, Callable[[int], int]], Availability]
    """Return it from settings, number of clients, and what gives a key of draws by a number."""
    summary: str


def _charging_wifi(
    config: ChargingWifiAvailability, num_clients: int, key: Callable[[int], int]
) -> Availability:
    del num_clients
    starts_at_h = config.starts_at_h
    return Both(
        DailyWindows(config.charging, starts_at_h=starts_at_h, key=key(0)),
        DailyWindows(config.wifi, starts_at_h=starts_at_h, key=key(1)),
    )


AVAILABILITY: dict[str, AvailabilityEntry] = {
    "always": AvailabilityEntry(
        config=AlwaysAvailable,
        build=lambda config, num_clients, key: Always(),
        summary="present all the time",
    ),
    "markov": AvailabilityEntry(
        config=MarkovAvailability,
        build=lambda config, num_clients, key: OnOff(config, num_clients=num_clients, key=key(0)),
        summary="present and absent for exponential times",
    ),
    "diurnal": AvailabilityEntry(
        config=DiurnalAvailability,
        build=lambda config, num_clients, key: DailyWindows(
            config, starts_at_h=config.starts_at_h, key=key(0)
        ),
        summary="present in one window a day",
    ),
    "charging_wifi": AvailabilityEntry(
        config=ChargingWifiAvailability,
        build=_charging_wifi,
        summary="present while charging and on Wi-Fi",
    ),
    "trace": AvailabilityEntry(
        config=TraceAvailability,
        build=lambda config, num_clients, key: FromTrace(
            read_trace(config.path, num_clients=num_clients)
        ),
        summary="present in the intervals of a file",
    ),
}
"""By the ``kind`` of the settings."""


def build_availability(
    config: AvailabilityConfig, *, num_clients: int, streams: Streams
) -> Availability:
    """Return when the clients of a run are there: the same for every method and policy.

    Parameters
    ----------
    config
        Settings of any kind.
    num_clients
        How many clients.
    streams
        Addressed randomness. Used: ``availability`` (a number of the kind's own).

    Raises
    ------
    ValueError
        One line: a trace cannot be used.
    """

    def key(number: int) -> int:
        return int(streams(PURPOSE, number).integers(2**63 - 1))

    return AVAILABILITY[config.kind].build(config, num_clients, key)


def find_problems(
    config: AvailabilityConfig, *, num_clients: int, path: tuple[str, ...]
) -> Iterator[Problem]:
    """Find settings that leave nobody, or windows that meet; a trace is read."""
    if isinstance(config, DiurnalAvailability):
        if fault := window_fault(config):
            yield Problem((*path, "spread_h"), fault)
    elif isinstance(config, ChargingWifiAvailability):
        for name in ("charging", "wifi"):
            if fault := window_fault(getattr(config, name)):
                yield Problem((*path, name, "spread_h"), fault)
        if not overlaps(config.charging, config.wifi):
            rule = "must overlap charging: nobody would ever be available"
            yield Problem((*path, "wifi"), rule)
    elif isinstance(config, TraceAvailability):
        if not Path(config.path).is_file():
            yield Problem((*path, "path"), f"must be a file, got {config.path!r}")
            return
        try:
            read_trace(config.path, num_clients=num_clients)
        except ValueError as error:
            yield Problem((*path, "path"), str(error))
