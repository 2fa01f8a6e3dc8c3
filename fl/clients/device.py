"""The device of one client: how fast it computes, and what it draws meanwhile."""

from dataclasses import dataclass

from fl.clients.device_class import DeviceClass, SpeedRange
from fl.clients.frequency import DvfsConfig
from fl.clients.precision import Precision
from fl.clients.work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What one client computes with, at the precision and frequency of the scenario."""

    kind: DeviceClass
    speed: SpeedRange
    """Operations a second that training sustains on it, were its class as fast as it is taken to
    be, or at either end of its range."""
    power_factor: float = 1.0
    """Its power over that of its class."""
    precision: Precision = "fp32"
    """Numbers that it computes with, which decide the bytes that decode steps read."""

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
            precision=precision,
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

    def compute_s(self, work: Work) -> float:
        """Return the seconds that a job takes.

        Raises
        ------
        ValueError
            If the job decodes and the memory bandwidth of the class is not known.
        """
        flop_per_s = self.speed.flop_per_s
        return work.flop / flop_per_s + sum(
            each.seconds(
                flop_per_s=flop_per_s,
                bytes_per_s=self.kind.known_bandwidth_bytes_per_s(),
                precision=self.precision,
            )
            for each in work.decode
        )
