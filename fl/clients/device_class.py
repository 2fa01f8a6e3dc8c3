"""Classes of devices: how fast they train, how many watts they draw, how much memory they have.

Speeds are sustained ones of a training job, counted as :mod:`fl.training.step_count` counts a step:
the matrix products of forward and backward pass, two operations a multiply-add. With a frozen
backbone these are 2 P operations a token forward and 2 P backward, for P weights in matrix products
(no gradient of a frozen weight is computed), 6 P where everything is trained. The speeds of the
built-in table were derived by the same count.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le

Speed = Annotated[float, Ge(1e6), Le(1e16)]
"""Operations a second; what lies beyond is a wrong unit (our choice)."""
Power = Annotated[float, Gt(0), Le(1e4)]
"""Watts; more than 10 kW are a wrong unit (our choice)."""
Memory = Annotated[float, Ge(1e6), Le(1e14)]
"""Bytes; less than a megabyte is a wrong unit (our choice)."""
Bandwidth = Annotated[float, Ge(1e6), Le(1e15)]
"""Bytes a second; what lies beyond is a wrong unit (our choice)."""
Battery = Annotated[float, Gt(0), Le(1e4)]
"""Watt-hours; more than 10 kWh are a wrong unit (our choice)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedRange:
    """Operations a second of a class, and a plausible range around it."""

    flop_per_s: float
    low_flop_per_s: float
    high_flop_per_s: float


@dataclass(frozen=True, kw_only=True)
class DeviceFigures:
    """What a training job needs to know of a kind of device."""

    sustained_flop_per_s: Speed
    """Operations a second that training in single precision sustains, multiply and add counted
    apart; far below the peak of a data sheet, and after thermal throttling."""
    low_flop_per_s: Speed | None = None
    """Low end of a plausible range of that speed, for the report; the speed itself when empty."""
    high_flop_per_s: Speed | None = None
    """High end of that range."""
    fp16_flop_per_s: Speed | None = None
    """Operations a second in half precision; needed where clients compute in it."""
    fp16_low_flop_per_s: Speed | None = None
    """Low end of a plausible range of it."""
    fp16_high_flop_per_s: Speed | None = None
    """High end of that range."""
    compute_w: Power
    """Power that the whole device draws while it trains [W]; its radio is booked apart."""
    low_w: Power | None = None
    """Low end of a plausible range of that power [W]; the power itself when empty."""
    high_w: Power | None = None
    """High end of that range [W]."""
    memory_bytes: Memory
    """Memory that a training job may use [bytes]."""
    memory_bandwidth_bytes_per_s: Bandwidth | None = None
    """Bytes a second that reading weights sustains, below the peak of a data sheet; needed where
    clients generate text."""
    low_bandwidth_bytes_per_s: Bandwidth | None = None
    """Low end of a plausible range of it; the bandwidth itself when empty."""
    high_bandwidth_bytes_per_s: Bandwidth | None = None
    """High end of that range."""
    battery_wh: Battery | None = None
    """Energy of a full battery [Wh]; a device without runs on mains."""

    @property
    def fp32(self) -> SpeedRange:
        """Speed in single precision."""
        value = self.sustained_flop_per_s
        return _range(value, self.low_flop_per_s, self.high_flop_per_s)

    @property
    def fp16(self) -> SpeedRange | None:
        """Speed in half precision; ``None`` where it is not known."""
        value = self.fp16_flop_per_s
        if value is None:
            return None
        return _range(value, self.fp16_low_flop_per_s, self.fp16_high_flop_per_s)

    @property
    def power_range_w(self) -> tuple[float, float]:
        """Low and high end of the power [W]."""
        low_w = self.compute_w if self.low_w is None else self.low_w
        return low_w, self.compute_w if self.high_w is None else self.high_w


def _range(value: float, low: float | None, high: float | None) -> SpeedRange:
    return SpeedRange(
        flop_per_s=value,
        low_flop_per_s=value if low is None else low,
        high_flop_per_s=value if high is None else high,
    )


@dataclass(frozen=True, kw_only=True)
class DeviceConfig(DeviceFigures):
    """A class of devices of a user's own."""

    share: Annotated[float, Gt(0), Le(1)]
    """Share of the clients that have such a device, on average."""


@dataclass(frozen=True, kw_only=True)
class DeviceClass(DeviceFigures):
    """A kind of device with its name."""

    name: str
    summary: str = "a class of the scenario"
    """What it stands for."""
    source: str = "the scenario"
    """Where its figures come from: measured, derived, or our choice."""

    def known_bandwidth_bytes_per_s(self) -> float:
        """Return the memory bandwidth, for a job that generates text.

        Raises
        ------
        ValueError
            If it is not known.
        """
        if self.memory_bandwidth_bytes_per_s is None:
            msg = (
                f"clients.devices.{self.name}: needs memory_bandwidth_bytes_per_s, "
                "for jobs that generate text"
            )
            raise ValueError(msg)
        return self.memory_bandwidth_bytes_per_s

    @classmethod
    def own(cls, name: str, config: DeviceConfig) -> "DeviceClass":
        """Return a class of a user's own under its name."""
        figures = {
            item.name: getattr(config, item.name) for item in dataclasses.fields(DeviceFigures)
        }
        return cls(name=name, **figures)


_RANGES = (
    ("low_flop_per_s", "sustained_flop_per_s", "high_flop_per_s"),
    ("fp16_low_flop_per_s", "fp16_flop_per_s", "fp16_high_flop_per_s"),
    ("low_w", "compute_w", "high_w"),
    (
        "low_bandwidth_bytes_per_s",
        "memory_bandwidth_bytes_per_s",
        "high_bandwidth_bytes_per_s",
    ),
)


def find_faults(figures: DeviceFigures) -> Iterator[tuple[str, str]]:
    """Find the ends of ranges that do not enclose their value: key and message."""
    for low_name, name, high_name in _RANGES:
        low, value, high = (getattr(figures, key) for key in (low_name, name, high_name))
        if value is None:
            for key, end in ((low_name, low), (high_name, high)):
                if end is not None:
                    yield key, f"has no effect without {name}, got {end:g}"
            continue
        if low is not None and low > value:
            yield low_name, f"must be <= {name} = {value:g}, got {low:g}"
        if high is not None and high < value:
            yield high_name, f"must be >= {name} = {value:g}, got {high:g}"
