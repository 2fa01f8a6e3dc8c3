"""The ``radio:`` section: resource grid, power, fading, scheduling, handover, energy, backhaul.

Every value is in SI units unless its name says otherwise.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt

SiteClass = Literal["macro", "rrh", "micro", "pico", "femto"]
"""Rows of the EARTH table."""


@dataclass(frozen=True, kw_only=True)
class FddDuplex:
    """Uplink and downlink on a band of ``bandwidth_hz`` each, all the time.

    Both bands have the gains and the fading of ``carrier_hz`` (our choice).
    """

    kind: Literal["fdd"] = "fdd"


@dataclass(frozen=True, kw_only=True)
class TddDuplex:
    """Uplink and downlink share one band in time, all cells in step."""

    uplink_fraction: Annotated[float, Gt(0), Lt(1)] = 0.4
    """Share of the slots that are uplink (DDSUU is 0.4, DDDSU 0.2); the rest is downlink."""
    kind: Literal["tdd"] = "tdd"


@dataclass(frozen=True, kw_only=True)
class NoFading:
    """The channel is its large-scale gain."""

    kind: Literal["none"] = "none"


@dataclass(frozen=True, kw_only=True)
class RayleighFading:
    """Rayleigh fading of the serving link, Doppler spectrum of Clarke."""

    mode: Literal["block", "ergodic"] = "block"
    """``block`` follows the gain from tick to tick; ``ergodic`` takes the mean rate over the fades
    that are served: peaks under ``proportional_fair``, all alike under any other scheduler."""
    kind: Literal["rayleigh"] = "rayleigh"


@dataclass(frozen=True, kw_only=True)
class RicianFading:
    """A fixed path plus Rayleigh scatter."""

    k_db: Annotated[float, Ge(-40), Le(40)] = 9.0
    """Power of the fixed path over that of the scatter [dB]."""
    mode: Literal["block", "ergodic"] = "block"
    """``block`` follows the gain from tick to tick; ``ergodic`` takes the mean rate over the fades
    that are served: peaks under ``proportional_fair``, all alike under any other scheduler."""
    kind: Literal["rician"] = "rician"


@dataclass(frozen=True, kw_only=True)
class TdlFading:
    """Tapped delay line of TR 38.901 clause 7.7.2: fading that differs over the band."""

    profile: Literal["A", "B", "C", "D", "E"] = "A"
    """Table 7.7.2-1 to -5; D and E have a line of sight."""
    delay_spread_s: Annotated[float, Gt(0)] = 100e-9
    """RMS delay spread [s]; 100 ns is the standard's nominal value."""
    mode: Literal["block", "ergodic"] = "block"
    """``block`` follows the gain from tick to tick; ``ergodic`` takes the mean rate over the fades
    that are served: peaks under ``proportional_fair``, all alike under any other scheduler."""
    kind: Literal["tdl"] = "tdl"


Fading = NoFading | RayleighFading | RicianFading | TdlFading


@dataclass(frozen=True, kw_only=True)
class InnerLoopAdaptation:
    """The modulation and coding follow the measurement alone."""

    target_block_error: Annotated[float, Ge(0.001), Le(0.5)] = 0.1
    """Largest error rate of a first transmission at the SINR measured."""
    kind: Literal["inner_loop"] = "inner_loop"


@dataclass(frozen=True, kw_only=True)
class OuterLoopAdaptation:
    """Acknowledgements correct the measurement until the target share of blocks fails."""

    target_block_error: Annotated[float, Ge(0.001), Le(0.5)] = 0.1
    """Share of first transmissions that fail once the loop has settled."""
    step_up_db: Annotated[float, Ge(0.001), Le(3)] = 0.1
    """Correction after a failure [dB]; engine flow takes the loop as settled if nothing fades."""
    kind: Literal["outer_loop"] = "outer_loop"


LinkAdaptation = InnerLoopAdaptation | OuterLoopAdaptation


@dataclass(frozen=True, kw_only=True)
class UplinkPowerConfig:
    """Open-loop power control of TS 38.213 clause 7.1.1, with the 2^mu term."""

    p0_dbm: Annotated[float, Ge(-202), Le(24)] = -80.0
    """Target received power [dBm] per resource block of 15 kHz spacing."""
    alpha: Annotated[float, Ge(0), Le(1)] = 0.8
    """Share of the coupling loss that is made up for: 0, 0.4, 0.5, ..., 0.9 or 1 (TS 38.213)."""
    max_dbm: Annotated[float, Ge(-40), Le(33)] = 23.0
    """Largest radiated power [dBm]; 23 is power class 3."""


@dataclass(frozen=True, kw_only=True)
class BackgroundLoadConfig:
    """Traffic of others, present in every cell at all times."""

    downlink_fraction: Annotated[float, Ge(0), Le(1)] = 0.0
    """Share of its power that every cell transmits besides the transfers of this run."""
    uplink_rise_db: Annotated[float, Ge(0), Le(40)] = 0.0
    """Interference of others over the thermal noise of every cell [dB]."""


@dataclass(frozen=True, kw_only=True)
class NoHandover:
    """A transfer stays with the cell that was strongest when it started."""

    kind: Literal["none"] = "none"


@dataclass(frozen=True, kw_only=True)
class A3Handover:
    """Event A3 of TS 38.331 clause 5.5.4.4 on filtered reference-signal power."""

    offset_db: Annotated[float, Ge(-15), Le(15)] = 0.0
    """How much better the neighbour must be [dB]."""
    hysteresis_db: Annotated[float, Ge(0), Le(15)] = 3.0
    """Added to enter, taken to leave [dB]."""
    time_to_trigger_s: Annotated[float, Ge(0), Le(5.12)] = 0.256
    """How long [s] the entering condition must hold."""
    filter_coefficient: Annotated[int, Ge(0), Le(19)] = 4
    """Layer-3 filter k of clause 5.5.3.2; a = 2^(-k/4) at samples 200 ms apart."""
    interruption_s: Annotated[float, Ge(0)] = 0.05
    """Pause [s] of a transfer while its client changes cell."""
    kind: Literal["a3"] = "a3"


Handover = NoHandover | A3Handover


@dataclass(frozen=True, kw_only=True)
class LinkFailureConfig:
    """When a connection counts as lost, and what getting back costs (TS 38.331 clause 5.3.10)."""

    out_of_sync_db: Annotated[float, Ge(-40), Le(40)] = -8.0
    """Below this downlink SINR [dB] the client is out of sync; also the edge of coverage."""
    in_sync_db: Annotated[float, Ge(-40), Le(40)] = -6.0
    """Above this downlink SINR [dB] it is in sync again."""
    timer_s: Annotated[float, Gt(0)] = 1.0
    """Time [s] out of sync after which the link has failed (T310)."""
    recovery_s: Annotated[float, Ge(0)] = 0.2
    """Pause [s] to find and join the strongest cell."""


@dataclass(frozen=True, kw_only=True)
class EnergyConfig:
    """Power models: clients after TR 38.840, sites after EARTH."""

    watt_per_pu: Annotated[float, Gt(0)] = 3e-3
    """Watts of one relative power unit of TR 38.840; 3 mW makes 2.1 W at 23 dBm."""
    amplifier_efficiency: Annotated[float, Gt(0), Le(1)] | None = None
    """Radiated over drawn power of the amplifier; ``None`` keeps the slope of TR 38.840."""
    inactivity_s: Annotated[float, Ge(0)] = 0.1
    """After its last data a client listens to every control slot this long [s]."""
    drx_cycle_s: Annotated[float, Gt(0)] = 0.32
    """Period of connected-mode DRX after that [s]."""
    drx_on_s: Annotated[float, Gt(0)] = 0.01
    """Time awake in each DRX period [s]."""
    release_s: Annotated[float, Ge(0)] = 10.0
    """From the last data to the release of the connection [s]; nothing is drawn after it."""
    site_class: SiteClass | None = None
    """Row of the EARTH table; ``None`` is the environment's (macro, micro, macro or pico)."""
    site_sleep_after_s: Annotated[float, Ge(0)] | None = None
    """A site without traffic this long sleeps until the next [s]; ``None`` is never."""


@dataclass(frozen=True, kw_only=True)
class BackhaulLink:
    """One cable, usable in both directions at once."""

    ends: tuple[str, str]
    """Names of what it joins: ``server``, ``site-0``, ``site-1``, ... or any router's."""
    latency_s: Annotated[float, Ge(0)] = 0.0
    """One-way latency [s]."""
    rate_bps: Annotated[float, Gt(0)] | None = None
    """Rate in each direction [bit/s], shared by what crosses it; ``None`` is no limit."""


@dataclass(frozen=True, kw_only=True)
class LinkCut:
    """A link that is broken for a while."""

    ends: tuple[str, str]
    """The link's ends, in either order."""
    started_at_s: Annotated[float, Ge(0)]
    """When it breaks [s]."""
    finished_at_s: Annotated[float, Gt(0)]
    """When it is whole again [s]."""


@dataclass(frozen=True, kw_only=True)
class StarBackhaul:
    """One wire from each site straight to the server, all alike."""

    latency_s: Annotated[float, Ge(0)] = 0.0
    """One-way latency [s]."""
    rate_bps: Annotated[float, Gt(0)] | None = None
    """Rate of each wire [bit/s], shared by its transfers; ``None`` is no limit."""
    cuts: tuple[LinkCut, ...] = ()
    """Planned failures of wires."""
    kind: Literal["star"] = "star"


@dataclass(frozen=True, kw_only=True)
class GraphBackhaul:
    """Any graph of links between ``site-0``, ``site-1``, ..., routers and ``server``."""

    links: tuple[BackhaulLink, ...]
    """All wires."""
    cuts: tuple[LinkCut, ...] = ()
    """Planned failures of wires; traffic goes another way round where there is one."""
    kind: Literal["graph"] = "graph"


BackhaulConfig = StarBackhaul | GraphBackhaul


@dataclass(frozen=True, kw_only=True)
class SiteOutage:
    """A site that is dead for a while: its cells neither transmit nor receive."""

    site_id: Annotated[int, Ge(0)]
    """Index of the site in the layout."""
    started_at_s: Annotated[float, Ge(0)]
    """When it fails [s]."""
    finished_at_s: Annotated[float, Gt(0)]
    """When it is back [s]."""


@dataclass(frozen=True, kw_only=True)
class RadioConfig:
    """Everything between a client's antenna and the server."""

    bandwidth_hz: float
    """Channel bandwidth [Hz]; with the spacing it must be a pair of TS 38.101-1 Table 5.3.2-1."""
    subcarrier_spacing_hz: float
    """Subcarrier spacing [Hz]: 15e3, 30e3, 60e3 (120e3 above 24 GHz)."""
    fading: Fading = RayleighFading()
    """Fast fading of serving links; interfering links keep their mean gain."""
    scheduler: str = "proportional_fair"
    """Who gets which blocks: a name in ``rules.SCHEDULERS``, or ``path.py:Class``."""
    uplink_power: UplinkPowerConfig = UplinkPowerConfig()
    """Uplink power control."""
    site_power_dbm: Annotated[float, Ge(0), Le(60)] | None = None
    """Power of a cell over the band [dBm]; ``None`` is the environment's (46, 41, 46 or 24).

    From 1 mW to 1 kW; the hardware of ``energy.site_class`` may set a lower limit.
    """
    duplex: FddDuplex | TddDuplex = FddDuplex()
    """How uplink and downlink share the spectrum."""
    mcs_table: Literal[1, 2] = 1
    """TS 38.214 table: 1 ends at 64QAM, 2 at 256QAM."""
    link_adaptation: LinkAdaptation = OuterLoopAdaptation()
    """How modulation and coding are chosen."""
    knowledge_delay_slots: Annotated[int, Ge(0), Le(1000)] = 2
    """Age [slot] of the channel measurement by which blocks and MCS are chosen."""
    uplink_overhead_fraction: Annotated[float, Ge(0), Lt(1)] = 0.08
    """Share of resource elements without data in the uplink; TS 38.306 clause 4.1.2, FR1."""
    downlink_overhead_fraction: Annotated[float, Ge(0), Lt(1)] = 0.14
    """The same in the downlink."""
    site_noise_figure_db: Annotated[float, Ge(0), Le(30)] = 5.0
    """Noise figure of the sites [dB]."""
    ue_noise_figure_db: Annotated[float, Ge(0), Le(30)] = 9.0
    """Noise figure of the clients [dB]."""
    interference: bool = True
    """Whether cells disturb each other; off, every cell is alone with its noise."""
    background_load: BackgroundLoadConfig = BackgroundLoadConfig()
    """Interference of traffic that is not simulated."""
    handover: Handover = A3Handover()
    """Change of cell while a transfer runs."""
    link_failure: LinkFailureConfig = LinkFailureConfig()
    """Loss of coverage."""
    energy: EnergyConfig = EnergyConfig()
    """Power models."""
    backhaul: BackhaulConfig = StarBackhaul()
    """BackhaulFlow between sites and server."""
    outages: tuple[SiteOutage, ...] = ()
    """Planned site failures."""
    channel_tick_s: Annotated[float, Gt(0)] = 0.05
    """How often [s] gains and rates of moving or fading clients are renewed while transfers run; a
    slot at least. Schedulers that follow fades see them move in between."""
    transfer_timeout_s: Annotated[float, Gt(0)] = 600.0
    """A transfer that has not ended after this time [s] ends undelivered."""
    engine: Literal["flow", "slot"] = "flow"
    """``flow`` solves rates at events; ``slot`` steps every slot (reference, slow)."""
