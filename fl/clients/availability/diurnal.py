"""Diurnal availability: a part of every day, such as the night."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Lt

from fl.clients.availability.daily import DailyWindow


@dataclass(frozen=True, kw_only=True)
class DiurnalAvailability(DailyWindow):
    """Present in one window a day."""

    starts_at_h: Annotated[float, Ge(0), Lt(24)] = 0.0
    """Local time of day when the simulation starts [h]."""
    kind: Literal["diurnal"] = "diurnal"
