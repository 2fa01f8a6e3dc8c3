"""The ``clients:`` section: how many clients there are, and what they compute with."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Gt, Le, MinLen

from fl.clients import availability, battery
from fl.clients.availability import AlwaysAvailable, AvailabilityConfig
from fl.clients.battery import BatteryConfig
from fl.clients.device_class import DeviceClass, DeviceConfig, find_faults
from fl.clients.device_table import DEVICES, read_device_file
from fl.clients.frequency import DvfsConfig
from fl.clients.precision import Precision
from fl.clients.throttling import TwoStateThrottling
from fl.problems import Problem

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
Share = Annotated[float, Ge(0)]


@dataclass(frozen=True, kw_only=True)
class DeviceFileConfig:
    """Classes of devices from a file."""

    path: str
    """A csv file with the columns ``name`` and ``share``, and the keys of a class of one's own."""


@dataclass(frozen=True, kw_only=True)
class ClientsConfig:
    """How many clients there are and what they compute with."""

    num_clients: Annotated[int, Gt(0)]
    """Clients in the world, each a UE with a device and a shard."""
    devices: Annotated[dict[str, Share | DeviceConfig], MinLen(1)] | DeviceFileConfig
    """Share of each device class, a built-in one by its name or one's own with its figures; or
    ``{path: ...}``, a csv file of classes. The shares sum to 1."""
    device_speed_sigma: Annotated[float, Ge(0), Le(3)] = 0.5
    """Standard deviation of the natural logarithm of speed within a class, whose median is the
    speed of the class; 0: all devices of a class are alike. 0.5 is that of the processor scores of
    the phones of 2018 and 2019 in AI-Benchmark."""
    precision: Precision = "fp32"
    """Numbers that devices compute with: ``fp32``, ``fp16``, or ``int8`` (frozen weights in one
    byte, computing in half precision). Speed and memory change; values of training do not."""
    dvfs: DvfsConfig | None = None
    """A lower frequency of all devices; the full one when empty."""
    throttling: TwoStateThrottling | None = None
    """Devices that are faster while they are cool; always as fast as warm ones when empty."""
    availability: AvailabilityConfig = field(default_factory=AlwaysAvailable)
    """When clients are there: one that goes away ends what it does for the server."""
    battery: BatteryConfig | None = None
    """Batteries that run out and charge, of the devices that have one; none runs out when empty."""


def classes_of(config: ClientsConfig) -> Mapping[str, tuple[DeviceClass, float]]:
    """Return the device classes of a scenario with their shares, by name.

    Built-in classes come first in the order of their table, so that the order in which a scenario
    names them changes nothing; then a user's own, by name.

    Raises
    ------
    ValueError
        One line: a file of devices cannot be used.
    """
    given = _given(config)
    order = {name: place for place, name in enumerate(DEVICES)}
    return {
        name: (DeviceClass.own(name, value), value.share)
        if isinstance(value, DeviceConfig)
        else (DEVICES[name], value)
        for name, value in sorted(
            given.items(), key=lambda item: (order.get(item[0], len(order)), item[0])
        )
    }


def _given(config: ClientsConfig) -> Mapping[str, float | DeviceConfig]:
    if isinstance(config.devices, DeviceFileConfig):
        return read_device_file(config.devices.path)
    return config.devices


def find_problems(config: ClientsConfig, *, path: tuple[str, ...] = ("clients",)) -> list[Problem]:
    """Find broken rules between the settings of the clients; a file of devices is read."""
    at = (*path, "devices")
    if isinstance(config.devices, DeviceFileConfig):
        at = (*at, "path")
        if not Path(config.devices.path).is_file():
            return [Problem(at, f"must be a file, got {config.devices.path!r}")]
    try:
        given = _given(config)
    except ValueError as error:
        return [Problem(at, str(error))]
    problems = []
    for name, value in given.items():
        for key, message in (*_faults(name, value), *_unknown_speed(value, config.precision)):
            if isinstance(config.devices, DeviceFileConfig):
                # the keys of a file are none of the scenario
                words = [part for part in (name, key, message) if part]
                problems.append(Problem(at, ": ".join(words)))
            else:
                place = [part for part in (*at, name, key) if part]
                problems.append(Problem(tuple(place), message))
    if config.dvfs is not None and config.throttling is not None:
        rule = "has no place beside dvfs: how warm a device gets at a lower frequency is not known"
        problems.append(Problem((*path, "throttling"), rule))
    problems += availability.find_problems(
        config.availability, num_clients=config.num_clients, path=(*path, "availability")
    )
    if config.battery is not None:
        figures = [DEVICES.get(n) if isinstance(v, float | int) else v for n, v in given.items()]
        has_any = any(each is not None and each.battery_wh is not None for each in figures)
        at_battery = (*path, "battery")
        problems += battery.find_problems(config.battery, has_any=has_any, path=at_battery)
    shares = [item.share if isinstance(item, DeviceConfig) else item for item in given.values()]
    if "path" not in given and abs(sum(shares) - 1) > 1e-9:
        problems.append(Problem(at, f"shares must sum to 1, got {sum(shares):g}"))
    return problems


def _unknown_speed(value: float | DeviceConfig, precision: Precision) -> Iterator[tuple[str, str]]:
    """Find a class of a user's own whose speed is not known in the precision of the clients."""
    if precision != "fp32" and isinstance(value, DeviceConfig) and value.fp16 is None:
        yield "fp16_flop_per_s", f"missing; it is needed where clients.precision is {precision}"


def _faults(name: str, value: float | DeviceConfig) -> Iterator[tuple[str, str]]:
    """Find what is wrong with one class: its key, empty for the whole of it, and the message."""
    if isinstance(value, DeviceConfig):
        if name in DEVICES:
            yield "", f"is a built-in class: give its share alone, or another name, got {name}"
        elif not _NAME.fullmatch(name) or name == "path":
            rule = "must be 1 to 100 letters, digits, '_', '.' or '-', and not 'path'"
            yield "", f"a name {rule}, got {name[:100]!r}"
        yield from find_faults(value)
        return
    if name == "path":
        yield "", f"must be the name of a file, got {value:g}"
    elif name not in DEVICES:
        known = ", ".join(DEVICES)
        yield "", f"must be one of {known}, or a class with its figures, got {name}"
    if value == 0:
        yield "", "a share of 0 has no effect, leave the class out"
