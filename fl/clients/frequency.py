"""Dynamic voltage and frequency scaling: a device that runs at a part of its frequency."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Lt


@dataclass(frozen=True, kw_only=True)
class DvfsConfig:
    """A lower frequency: slower, at less power.

    At a fraction f of the frequency a device has the fraction f of its speed and draws
    ``s + (1 - s) f^3`` of its power: a static part s, and a dynamic part that goes with voltage
    squared times frequency, voltage taken as proportional to frequency (a textbook assumption; a
    voltage has a floor, which is not modelled). An operation then takes ``s / f + (1 - s) f^2`` of
    its energy, least at ``f = (s / (2 (1 - s)))^(1/3)``.
    """

    frequency_fraction: Annotated[float, Gt(0), Lt(1)]
    """Frequency over that at which the speed of a class was taken."""
    static_fraction: Annotated[float, Ge(0), Lt(1)] = 0.3
    """Part of the power that does not depend on the frequency (our choice)."""

    @property
    def power_fraction(self) -> float:
        """Power over that at the full frequency."""
        static = self.static_fraction
        return static + (1 - static) * self.frequency_fraction**3
