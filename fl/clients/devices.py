"""Devices that clients compute on: drawn from the classes of the scenario, one a client.

Class and speed of a client are drawn by address, so they do not change when a client or a method
is added. They are columns: a million clients have a million devices.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import astuple
from itertools import accumulate
from typing import Self

import numpy as np
from jaxtyping import Float, Int, Shaped

from fl.by_client import ByClient
from fl.clients.config import ClientsConfig, classes_of
from fl.clients.device import Device
from fl.clients.device_class import DeviceClass, SpeedRange
from fl.clients.precision import Precision
from fl.clients.work import Work
from fl.network import Streams
from fl.rows import DeviceRow

GB = 1e9
PerClient = Float[np.ndarray, " client"]


class DeviceMemoryError(ValueError):
    """A training job does not fit a device of the scenario; the message is one line."""


class Devices(ByClient[Device]):
    """The devices of all clients by id: columns, out of which one device is made when asked for.

    Parameters
    ----------
    kinds
        Classes, in use or not.
    kind_id
        Index of the class of each client's device.
    speeds
        Its speed, and that at the low and at the high end of the range of its class.
    power_factor
        Its power over that of its class.
    precision
        Numbers that all compute with.
    """

    def __init__(
        self,
        kinds: Sequence[DeviceClass],
        kind_id: Int[np.ndarray, " client"],
        *,
        speeds: Float[np.ndarray, "3 client"],
        power_factor: PerClient,
        precision: Precision = "fp32",
    ) -> None:
        self._kinds = tuple(kinds)
        self._kind_id = kind_id
        self._speeds = speeds
        self._power_factor = power_factor
        self._precision = precision
        self._made: dict[int, Device] = {}

    @classmethod
    def of(cls, devices: Iterable[Device]) -> Self:
        """Return devices that were made one by one, by client id."""
        made = list(devices)
        kinds = list({id(each.kind): each.kind for each in made}.values())
        place = {id(kind): index for index, kind in enumerate(kinds)}
        return cls(
            kinds,
            np.array([place[id(each.kind)] for each in made], dtype=np.int64),
            speeds=np.array([astuple(each.speed) for each in made]).reshape(-1, 3).T,
            power_factor=np.array([each.power_factor for each in made]),
            precision=made[0].precision if made else "fp32",
        )

    def __len__(self) -> int:
        return len(self._kind_id)

    def of_client(self, client_id: int) -> Device:
        """Return the device of one client; the same object each time."""
        device = self._made.get(client_id)
        if device is None:
            speed, low, high = self._speeds[:, client_id].tolist()
            device = self._made[client_id] = Device(
                kind=self._kinds[self._kind_id[client_id]],
                speed=SpeedRange(flop_per_s=speed, low_flop_per_s=low, high_flop_per_s=high),
                power_factor=float(self._power_factor[client_id]),
                precision=self._precision,
            )
        return device

    def compute_s(
        self, client_ids: Int[np.ndarray, " some"], works: Sequence[Work]
    ) -> Float[np.ndarray, " some"]:
        """Return the seconds of a job each of some clients, as :meth:`Device.compute_s` does."""
        flop = np.array([work.flop for work in works], dtype=np.float64)
        seconds: Float[np.ndarray, " some"] = flop / self._speeds[0, client_ids]
        for row, work in enumerate(works):
            if work.decode:
                seconds[row] = self.of_client(int(client_ids[row])).compute_s(work)
        return seconds

    def repeated(self, num_clients: int) -> "Devices":
        """Return the devices of a number of clients: these, and then from the first on again."""
        rows = np.arange(num_clients) % len(self)
        return Devices(
            self._kinds,
            self._kind_id[rows],
            speeds=self._speeds[:, rows],
            power_factor=self._power_factor[rows],
            precision=self._precision,
        )

    @property
    def kinds(self) -> list[DeviceClass]:
        """Classes of which some client has a device."""
        return [self._kinds[each] for each in np.unique(self._kind_id).tolist()]

    @property
    def names(self) -> Shaped[np.ndarray, " client"]:
        """Name of the class of each."""
        return np.array([kind.name for kind in self._kinds])[self._kind_id]

    @property
    def compute_w(self) -> PerClient:
        """Power that each draws while it trains [W]."""
        return self._by_kind(lambda kind: kind.compute_w) * self._power_factor

    @property
    def battery_wh(self) -> PerClient:
        """Energy of each full battery [Wh]; inf for a device on mains."""
        return self._by_kind(lambda kind: np.inf if kind.battery_wh is None else kind.battery_wh)

    def rows(self) -> Iterator[DeviceRow]:
        """Return the rows of ``devices.csv``, by client id."""
        columns = (self._kind_id, *self._speeds, self._power_factor)
        for client_id, (kind_id, *speeds, factor) in enumerate(
            zip(*(column.tolist() for column in columns), strict=True)
        ):
            kind = self._kinds[kind_id]
            low_w, high_w = kind.power_range_w
            yield DeviceRow(
                client_id=client_id,
                device=kind.name,
                flop_per_s=speeds[0],
                low_flop_per_s=speeds[1],
                high_flop_per_s=speeds[2],
                compute_w=kind.compute_w * factor,
                low_w=low_w * factor,
                high_w=high_w * factor,
                memory_bytes=kind.memory_bytes,
                battery_wh=kind.battery_wh,
            )

    def _by_kind(self, value: Callable[[DeviceClass], float]) -> PerClient:
        of_client: PerClient = np.array([value(kind) for kind in self._kinds])[self._kind_id]
        return of_client


def draw_devices(config: ClientsConfig, *, streams: Streams) -> Devices:
    """Draw the device of every client: its class and its speed, from streams of its own.

    Parameters
    ----------
    config
        Clients, classes with shares, spread of speeds within a class, precision and frequency.
    streams
        Addressed randomness; used: ``device_class`` and ``device_speed``, each by client.

    Returns
    -------
    Devices
        By client id. Shares hold on average, not exactly.

    Raises
    ------
    ValueError
        One line: a file of devices cannot be used, or the speed of a class is not known in the
        precision.
    """
    classes = list(classes_of(config).values())
    edges = list(accumulate(share for _, share in classes))
    ids = np.arange(config.num_clients)
    kind_id = np.zeros(len(ids), dtype=np.int64)
    if len(classes) > 1:
        draws = _draws(streams, "device_class", ids, np.random.Generator.random)
        places = np.searchsorted(edges, draws * edges[-1], side="right")
        kind_id = np.minimum(places, len(classes) - 1)
    factor = np.ones(len(ids))
    if config.device_speed_sigma > 0:
        draws = _draws(streams, "device_speed", ids, np.random.Generator.standard_normal)
        factor = np.exp(config.device_speed_sigma * draws)  # log-normal, of median 1
    alike = [Device.of(kind, precision=config.precision) for kind, _ in classes]
    of_kinds = np.array([astuple(each.speed) for each in alike])
    dvfs = config.dvfs
    if dvfs is not None:
        factor *= dvfs.frequency_fraction
    return Devices(
        [each.kind for each in alike],
        kind_id,
        speeds=of_kinds.T[:, kind_id] * factor,
        power_factor=np.full(len(ids), 1.0 if dvfs is None else dvfs.power_fraction),
        precision=config.precision,
    )


def _draws(
    streams: Streams,
    purpose: str,
    ids: Int[np.ndarray, " client"],
    draw: Callable[[np.random.Generator], float],
) -> PerClient:
    """Return one number of each client."""
    return np.fromiter(map(draw, streams.each(purpose, ids)), np.float64, len(ids))


def check_memory(kinds: Iterable[DeviceClass], *, need_bytes: float, job: str) -> None:
    """Refuse a job that some device of the run cannot hold.

    Parameters
    ----------
    kinds
        Classes of the devices in use.
    need_bytes
        Peak memory of the job.
    job
        What needs it, for the message: method, batch, tokens.

    Raises
    ------
    DeviceMemoryError
        Naming every class that is too small, its capacity and the need.
    """
    small = sorted(
        (kind for kind in kinds if kind.memory_bytes < need_bytes),
        key=lambda kind: (kind.memory_bytes, kind.name),
    )
    if small:
        held = ", ".join(f"{kind.name} has {kind.memory_bytes / GB:.3g} GB" for kind in small)
        msg = f"clients.devices: {job} needs {need_bytes / GB:.3g} GB of memory, but {held}"
        raise DeviceMemoryError(msg)
