"""Devices that clients compute on: drawn from the classes of the scenario, one a client.

Class and speed of a client are drawn by address, so they do not change when a client or a method
is added.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from fl.clients.config import ClientsConfig, classes_of
from fl.clients.device_class import DeviceClass, SpeedRange
from fl.clients.frequency import DvfsConfig
from fl.clients.precision import Precision
from fl.network import Streams
from fl.rows import DeviceRow

GB = 1e9


class DeviceMemoryError(ValueError):
    """A training job does not fit a device of the scenario; the message is one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What one client computes with, at the precision and frequency of the scenario."""

    kind: DeviceClass
    speed: SpeedRange
    """Operations a second that training sustains on it, were its class as fast as it is taken to
    be, or at either end of its range."""
    power_factor: float = 1.0
    """Its power over that of its class."""

    @classmethod
    def of(
        cls,
        kind: DeviceClass,
        *,
        speed_factor: float = 1.0,
        precision: Precision = "fp32",
        dvfs: DvfsConfig | None = None,
    ) -> "Device":
        """Return a device of a class.

        Parameters
        ----------
        kind
            Its class.
        speed_factor
            Its speed over that of its class.
        precision
            Numbers that it computes with.
        dvfs
            A lower frequency; ``None``: the full one.

        Raises
        ------
        ValueError
            If the speed of the class is not known in this precision.
        """
        speed = kind.fp32 if precision == "fp32" else kind.fp16
        if speed is None:
            msg = f"clients.devices.{kind.name}: needs fp16_flop_per_s, for precision {precision}"
            raise ValueError(msg)
        factor = speed_factor * (1.0 if dvfs is None else dvfs.frequency_fraction)
        return cls(
            kind=kind,
            speed=SpeedRange(
                flop_per_s=speed.flop_per_s * factor,
                low_flop_per_s=speed.low_flop_per_s * factor,
                high_flop_per_s=speed.high_flop_per_s * factor,
            ),
            power_factor=1.0 if dvfs is None else dvfs.power_fraction,
        )

    @property
    def name(self) -> str:
        """Name of its class."""
        return self.kind.name

    @property
    def compute_w(self) -> float:
        """Power that it draws while it trains [W], however fast it is within its class."""
        return self.kind.compute_w * self.power_factor

    @property
    def power_range_w(self) -> tuple[float, float]:
        """The same at either end of the range of its class [W]."""
        low_w, high_w = self.kind.power_range_w
        return low_w * self.power_factor, high_w * self.power_factor

    def compute_s(self, flop: float) -> float:
        """Return the seconds that a job of this many operations takes."""
        return flop / self.speed.flop_per_s


def draw_devices(config: ClientsConfig, *, streams: Streams) -> list[Device]:
    """Draw the device of every client: its class and its speed, from streams of its own.

    Parameters
    ----------
    config
        Clients, classes with shares, spread of speeds within a class, precision and frequency.
    streams
        Addressed randomness; used: ``device_class`` and ``device_speed``, each by client.

    Returns
    -------
    list of Device
        By client id. Shares hold on average, not exactly.

    Raises
    ------
    ValueError
        One line: a file of devices cannot be used.
    """
    classes = list(classes_of(config).values())
    edges = list(accumulate(share for _, share in classes))
    drawn = []
    for client_id in range(config.num_clients):
        draw = streams("device_class", client_id).random() * edges[-1]
        index = min(int(np.searchsorted(edges, draw, side="right")), len(classes) - 1)
        drawn.append(
            Device.of(
                classes[index][0],
                speed_factor=_speed_factor(config.device_speed_sigma, client_id, streams),
                precision=config.precision,
                dvfs=config.dvfs,
            )
        )
    return drawn


def _speed_factor(sigma: float, client_id: int, streams: Streams) -> float:
    """Return a log-normal factor of median 1."""
    if sigma == 0:
        return 1.0
    return float(np.exp(sigma * streams("device_speed", client_id).standard_normal()))


def device_rows(devices: Sequence[Device]) -> list[DeviceRow]:
    """Return the rows of ``devices.csv``, by client id."""
    rows = []
    for client_id, device in enumerate(devices):
        speed = device.speed
        low_w, high_w = device.power_range_w
        rows.append(
            DeviceRow(
                client_id=client_id,
                device=device.name,
                flop_per_s=speed.flop_per_s,
                low_flop_per_s=speed.low_flop_per_s,
                high_flop_per_s=speed.high_flop_per_s,
                compute_w=device.compute_w,
                low_w=low_w,
                high_w=high_w,
                memory_bytes=device.kind.memory_bytes,
                battery_wh=device.kind.battery_wh,
            )
        )
    return rows


def check_memory(devices: Sequence[Device], *, need_bytes: float, job: str) -> None:
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
    kinds = {device.name: device.kind for device in devices}
    small = sorted(
        (kind for kind in kinds.values() if kind.memory_bytes < need_bytes),
        key=lambda kind: (kind.memory_bytes, kind.name),
    )
    if small:
        held = ", ".join(f"{kind.name} has {kind.memory_bytes / GB:.3g} GB" for kind in small)
        msg = f"clients.devices: {job} needs {need_bytes / GB:.3g} GB of memory, but {held}"
        raise DeviceMemoryError(msg)
