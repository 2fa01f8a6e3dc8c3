"""Thermal throttling in two states: a device that has rested runs faster until it is warm."""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Gt, Le


@dataclass(frozen=True, kw_only=True)
class TwoStateThrottling:
    """Cool or warm: the speed of a class is that of a warm device.

    A cool device is ``cool_factor`` times as fast and draws as many times the power (an operation
    takes the same energy: our choice). It stays cool for ``cool_s`` of computing; rest gives that
    time back evenly, all of it in ``rest_s``.
    """

    cool_factor: Annotated[float, Gt(1), Le(20)]
    """Speed of a cool device over that of a warm one."""
    cool_s: Annotated[float, Gt(0)]
    """Computing after which a cool device is warm [s]."""
    rest_s: Annotated[float, Gt(0)] = 300.0
    """Rest after which a warm device is cool [s] (our choice)."""
    kind: Literal["two_state"] = "two_state"


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of a job at one speed."""

    duration_s: float
    factor: float
    """Speed, and power, over those of a warm device."""


class CoolTime:
    """How long the device of each client can still run cool; all devices begin cool.

    Parameters
    ----------
    config
        Of throttling.
    num_clients
        How many devices.
    """

    def __init__(self, config: TwoStateThrottling, *, num_clients: int) -> None:
        self._config = config
        self._left_s = np.full(num_clients, config.cool_s)
        self._at_s = np.zeros(num_clients)

    def left_s(self, client_id: int, *, at_s: float) -> float:
        """Return the computing that a resting device can do cool at an instant [s]."""
        config, rested_s = self._config, at_s - self._at_s[client_id]
        gained_s = rested_s * config.cool_s / config.rest_s
        return float(min(config.cool_s, self._left_s[client_id] + gained_s))

    def phases(self, client_id: int, warm_s: float, *, at_s: float) -> list[Phase]:
        """Return the parts of a job that begins now and takes ``warm_s`` on a warm device."""
        factor, cool_s = self._config.cool_factor, self.left_s(client_id, at_s=at_s)
        if warm_s <= cool_s * factor:
            return [Phase(warm_s / factor, factor)]
        warm = Phase(warm_s - cool_s * factor, 1.0)
        return [Phase(cool_s, factor), warm] if cool_s > 0 else [warm]

    def end(self, client_id: int, *, started_at_s: float, finished_at_s: float) -> None:
        """Note that a device computed from one instant to another."""
        spent_s = finished_at_s - started_at_s
        left_s = self.left_s(client_id, at_s=started_at_s)
        self._left_s[client_id] = max(0.0, left_s - spent_s)
        self._at_s[client_id] = finished_at_s
