"""The ``radio.ue_power:`` section: power of the clients' radios, of two kinds."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le

PhoneProfile = Literal[
    "t_mobile_sa", "t_mobile_nsa_low", "verizon_lte", "verizon_nsa_low", "verizon_mmwave"
]
"""Rows of the table of measured phones, ``netsim/energy/measured_phones.csv``."""

Power = Annotated[float, Ge(0), Le(100)]
"""Watts; more than 100 W is a wrong unit (our choice)."""
EnergyPerBit = Annotated[float, Ge(0), Le(1e-5)]
"""Joules a bit; more than 10 W for each Mb/s is a wrong unit (our choice)."""


@dataclass(frozen=True, kw_only=True)
class Tr38840PowerConfig:
    """Power states of TR 38.840: a state has one power, sending by the power radiated."""

    watt_per_pu: Annotated[float, Gt(0)] = 3e-3
    """Watts of one relative power unit of TR 38.840; 3 mW gives 2.1 W at 23 dBm (our choice)."""
    amplifier_efficiency: Annotated[float, Gt(0), Le(1)] | None = None
    """Radiated over drawn power of the amplifier; ``None`` is the slope of TR 38.840."""
    inactivity_s: Annotated[float, Ge(0)] = 0.1
    """Time [s] after the last data in which a client monitors every PDCCH slot."""
    drx_cycle_s: Annotated[float, Gt(0)] = 0.32
    """Cycle of connected-mode DRX after that [s]."""
    drx_on_s: Annotated[float, Gt(0)] = 0.01
    """On-duration of each DRX cycle [s]."""
    release_s: Annotated[float, Ge(0)] = 10.0
    """Time [s] from the last data to the release of the connection; 0 W are counted after it."""
    kind: Literal["tr38840"] = "tr38840"


@dataclass(frozen=True, kw_only=True)
class MeasuredPowerConfig:
    """Phones that were measured: a straight line of throughput up to a largest power.

    Every value beside ``profile`` and ``screen_w`` replaces that of the profile: one's own phone is
    a profile with all of them replaced.
    """

    profile: PhoneProfile = "t_mobile_sa"
    """Network on which a phone was measured: ``t_mobile_sa`` and ``t_mobile_nsa_low`` without its
    screen, ``verizon_lte``, ``verizon_nsa_low`` and ``verizon_mmwave`` with it."""
    screen_w: Power | None = None
    """What screen and idle phone draw in the logs of ``verizon_*`` (2.2 to 2.5 W is likely), to be
    subtracted [W]: these profiles need it, 0 leaves it in. The tail never holds it."""
    transmit_w: Power | None = None
    """Power while sending, at no throughput [W]."""
    transmit_j_per_bit: EnergyPerBit | None = None
    """What each bit adds while sending [J]; 9.6e-9 is 9.6 mW for each Mb/s."""
    transmit_max_w: Power | None = None
    """Largest power while sending [W]."""
    receive_w: Power | None = None
    """Power while receiving, at no throughput [W]."""
    receive_j_per_bit: EnergyPerBit | None = None
    """What each bit adds while receiving [J]."""
    receive_max_w: Power | None = None
    """Largest power while receiving [W]."""
    connected_w: Power | None = None
    """Power in a transfer while the client neither sends nor receives [W]."""
    tail_w: Power | None = None
    """Power after the last transfer, until the connection is released [W]."""
    tail_s: Annotated[float, Ge(0), Le(600)] | None = None
    """Time from the last transfer to the release of the connection [s]; 0 W are counted after."""
    kind: Literal["measured"] = "measured"


UePowerConfig = MeasuredPowerConfig | Tr38840PowerConfig

DEFAULT_UE_POWER = MeasuredPowerConfig()
