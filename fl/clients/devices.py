"""Devices that clients compute on: how fast, how many watts, how much memory.

Which class a client has is drawn from the shares of the scenario, per client and by address, so it
does not change when a client or a method is added.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, MinLen

from fl.network import Streams
from fl.problems import Problem

GIB = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceClass:
    """One kind of device as a training job sees it."""

    name: str
    sustained_flop_per_s: float
    """Floating-point operations a second that fp32 training sustains, multiply and add counted
    apart; far below the peak of the data sheet, and after thermal throttling."""
    compute_w: float
    """Power that the whole device draws while it trains; its radio is booked apart."""
    memory_bytes: int
    """Memory that a training job may use."""
    summary: str
    """What it stands for."""
    source: str
    """Where speed and power come from."""


_SPEED = "speed: our choice"
_PHONE_SOURCE = f"{_SPEED}; power: inside 3-5 W, recollected as sustained phone SoC power"

DEVICES: dict[str, DeviceClass] = {
    device.name: device
    for device in (
        DeviceClass(
            name="phone_low",
            sustained_flop_per_s=8e9,
            compute_w=3.0,
            memory_bytes=1 * GIB,
            summary="entry phone, four small cores",
            source=_PHONE_SOURCE,
        ),
        DeviceClass(
            name="phone_mid",
            sustained_flop_per_s=25e9,
            compute_w=3.5,
            memory_bytes=2 * GIB,
            summary="mid-range phone",
            source=_PHONE_SOURCE,
        ),
        DeviceClass(
            name="phone_high",
            sustained_flop_per_s=80e9,
            compute_w=5.0,
            memory_bytes=4 * GIB,
            summary="flagship phone",
            source=_PHONE_SOURCE,
        ),
        DeviceClass(
            name="raspberry_pi_4",
            sustained_flop_per_s=10e9,
            compute_w=6.35,
            memory_bytes=3 * GIB,
            summary="single-board computer, four A72 cores",
            source=f"{_SPEED}; power: 6.2-6.5 W while computing, fit published with ns3-fl",
        ),
        DeviceClass(
            name="jetson_orin_nano",
            sustained_flop_per_s=400e9,
            compute_w=15.0,
            memory_bytes=6 * GIB,
            summary="embedded GPU board in its 15 W mode",
            source=f"{_SPEED}; power: the vendor's 15 W mode",
        ),
        DeviceClass(
            name="laptop",
            sustained_flop_per_s=200e9,
            compute_w=28.0,
            memory_bytes=8 * GIB,
            summary="thin laptop, processor only",
            source=f"{_SPEED}; power: our choice, a common sustained package power",
        ),
    )
}


class DeviceMemoryError(ValueError):
    """A training job does not fit a device of the scenario; the message is one line."""


@dataclass(frozen=True, kw_only=True)
class ClientsConfig:
    """How many clients there are and what they compute on."""

    num_clients: Annotated[int, Gt(0)]
    """Clients in the world, each a UE with a device and a shard."""
    devices: Annotated[dict[str, Annotated[float, Ge(0)]], MinLen(1)]
    """Share of each device class; the shares sum to 1."""


def find_problems(config: ClientsConfig, *, path: tuple[str, ...] = ("clients",)) -> list[Problem]:
    """Find broken rules between the settings of the clients."""
    problems = []
    at = (*path, "devices")
    for name, share in config.devices.items():
        if name not in DEVICES:
            known = ", ".join(DEVICES)
            problems.append(Problem((*at, name), f"must be one of {known}, got {name}"))
        if share == 0:
            problems.append(Problem((*at, name), "a share of 0 has no effect, leave the class out"))
    total = sum(config.devices.values())
    if abs(total - 1) > 1e-9:
        problems.append(Problem(at, f"shares must sum to 1, got {total:g}"))
    return problems


def draw_devices(
    shares: Mapping[str, float], *, num_clients: int, streams: Streams
) -> list[DeviceClass]:
    """Draw the device class of every client, each from its own stream ``device_class``.

    Parameters
    ----------
    shares
        Share of each class, in any order; sums to 1.
    num_clients
        How many clients.
    streams
        Addressed randomness; the draw of a client depends on its id alone.

    Returns
    -------
    list of DeviceClass
        By client id. Shares hold on average, not exactly.
    """
    names = [name for name in DEVICES if name in shares]
    edges = np.cumsum([shares[name] for name in names])
    chosen = []
    for client_id in range(num_clients):
        draw = streams("device_class", client_id).random() * edges[-1]
        index = min(int(np.searchsorted(edges, draw, side="right")), len(names) - 1)
        chosen.append(DEVICES[names[index]])
    return chosen


def compute_s(flop: float, device: DeviceClass) -> float:
    """Seconds that a job of this many floating-point operations takes on a device."""
    return flop / device.sustained_flop_per_s


def check_memory(devices: Sequence[DeviceClass], *, need_bytes: int, job: str) -> None:
    """Refuse a job that some device of the run cannot hold.

    Parameters
    ----------
    devices
        Devices in use.
    need_bytes
        Peak memory of the job.
    job
        What needs it, for the message: method, batch, tokens.

    Raises
    ------
    DeviceMemoryError
        Naming every class that is too small, its capacity and the need.
    """
    used = {device.name: device for device in devices}
    small = [
        used[name] for name in DEVICES if name in used and used[name].memory_bytes < need_bytes
    ]
    if small:
        held = ", ".join(
            f"{device.name} has {device.memory_bytes / GIB:.3g} GiB" for device in small
        )
        msg = f"clients.devices: {job} needs {need_bytes / GIB:.3g} GiB of memory, but {held}"
        raise DeviceMemoryError(msg)
