"""The ``radio:`` section: resource grid, power, fading, scheduling, handover, energy, backhaul.

Every value is in SI units unless its name says otherwise.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt

from netsim.config.access import DEFAULT_ACCESS, AccessConfig
from netsim.config.ue_power import DEFAULT_UE_POWER, UePowerConfig

SiteClass = Literal["macro", "rrh", "micro", "pico", "femto"]
"""Rows of the EARTH power model."""


@dataclass(frozen=True, kw_only=True)
class FddDuplex:
    """Frequency division: uplink and downlink have a band of ``bandwidth_hz`` each.

    Both bands have the gains and the fading of ``carrier_hz`` (our choice).
    """

    kind: Literal["fdd"] = "fdd"


@dataclass(frozen=True, kw_only=True)
class TddDuplex:
    """Time division: uplink and downlink share one band, synchronised over all cells."""

    uplink_fraction: Annotated[float, Gt(0), Lt(1)] = 0.4
    """Share of the slots that are uplink (DDSUU is 0.4, DDDSU 0.2); the rest is downlink."""
    kind: Literal["tdd"] = "tdd"


@dataclass(frozen=True, kw_only=True)
class NoFading:
    """No fast fading: the channel gain is the large-scale gain."""

    kind: Literal["none"] = "none"


@dataclass(frozen=True, kw_only=True)
class RayleighFading:
    """Rayleigh fading of the serving link with the Doppler spectrum of Clarke."""

    mode: Literal["block", "ergodic"] = "block"
    """``block`` follows the gain from tick to tick; ``ergodic`` takes the mean rate over all fades,
    which schedulers that follow fades do not allow (``proportional_fair``, ``max_ci``)."""
    kind: Literal["rayleigh"] = "rayleigh"


@dataclass(frozen=True, kw_only=True)
class RicianFading:
    """Rician fading: a direct path and Rayleigh-distributed scatter."""

    k_db: Annotated[float, Ge(-40), Le(40)] = 9.0
    """K factor: power of the direct path over that of the scatter [dB]."""
    mode: Literal["block", "ergodic"] = "block"
    """``block`` follows the gain from tick to tick; ``ergodic`` takes the mean rate over all fades,
    which schedulers that follow fades do not allow (``proportional_fair``, ``max_ci``)."""
    kind: Literal["rician"] = "rician"


@dataclass(frozen=True, kw_only=True)
class TdlFading:
    """Frequency-selective fading: tapped delay line of TR 38.901 clause 7.7.2."""

    profile: Literal["A", "B", "C", "D", "E"] = "A"
    """Table 7.7.2-1 to -5; D and E have a direct path."""
    delay_spread_s: Annotated[float, Gt(0)] = 100e-9
    """RMS delay spread [s]; 100 ns is the nominal value of the standard."""
    mode: Literal["block", "ergodic"] = "block"
    """``block`` follows the gain from tick to tick; ``ergodic`` takes the mean rate over all fades,
    which schedulers that follow fades do not allow (``proportional_fair``, ``max_ci``)."""
    kind: Literal["tdl"] = "tdl"


Fading = NoFading | RayleighFading | RicianFading | TdlFading


@dataclass(frozen=True, kw_only=True)
class InnerLoopAdaptation:
    """Inner loop only: the MCS follows the measured SINR."""

    target_block_error: Annotated[float, Ge(0.001), Le(0.5)] = 0.1
    """Largest BLER of a first transmission at the measured SINR."""
    kind: Literal["inner_loop"] = "inner_loop"


@dataclass(frozen=True, kw_only=True)
class OuterLoopAdaptation:
    """Outer loop: acknowledgements correct the measured SINR until the target BLER is met."""

    target_block_error: Annotated[float, Ge(0.001), Le(0.5)] = 0.1
    """BLER of first transmissions in steady state."""
    step_up_db: Annotated[float, Ge(0.001), Le(3)] = 0.1
    """Correction after a NACK [dB]; without fading, engine flow assumes the steady state."""
    kind: Literal["outer_loop"] = "outer_loop"


LinkAdaptation = InnerLoopAdaptation | OuterLoopAdaptation


Reduction = Annotated[float, Ge(0), Le(20)]
"""In dB."""


@dataclass(frozen=True, kw_only=True)
class MaxPowerReduction:
    """By how much a client may stay below its power limit, by modulation; it must not fall.

    Defaults are those of power class 3 in FR1 with CP-OFDM, of inner allocations for QPSK and 16QAM
    (TS 38.101-1 table 6.2.2-1, as recollected and as OpenAirInterface has them). Outer allocations,
    3 dB for both, DFT-s-OFDM (0, 1, 2.5, 4.5) and FR2 are settings of yours.
    """

    qpsk_db: Reduction = 1.5
    """With QPSK [dB]."""
    qam16_db: Reduction = 2.0
    """With 16QAM [dB]."""
    qam64_db: Reduction = 3.5
    """With 64QAM [dB]."""
    qam256_db: Reduction = 6.5
    """With 256QAM [dB]; only ``mcs_table`` 2 has it."""


@dataclass(frozen=True, kw_only=True)
class UplinkPowerConfig:
    """Open-loop power control of TS 38.213 clause 7.1.1, with the 2^mu term."""

    p0_dbm: Annotated[float, Ge(-202), Le(24)] = -80.0
    """Target received power [dBm] per resource block of 15 kHz spacing."""
    alpha: Annotated[float, Ge(0), Le(1)] = 0.8
    """Share of the coupling loss that is compensated: 0, 0.4, 0.5, ..., 0.9 or 1 (TS 38.213)."""
    max_dbm: Annotated[float, Ge(-40), Le(33)] = 23.0
    """Largest radiated power [dBm]; 23 is power class 3."""
    max_power_reduction: MaxPowerReduction | None = MaxPowerReduction()
    """What clients at the limit stay below it; ``null`` is nothing."""


@dataclass(frozen=True, kw_only=True)
class BackgroundShare:
    """Traffic that is not part of the run, constant in every cell.

    It comes first: transfers share the whole number of blocks that it leaves.
    """

    downlink_fraction: Annotated[float, Ge(0), Le(1)] = 0.0
    """Share of its blocks that every cell uses for background traffic, at full power."""
    uplink_fraction: Annotated[float, Ge(0), Le(1)] = 0.0
    """Share of its uplink blocks that background traffic uses; what its clients disturb other cells
    with is ``uplink_rise_db``."""
    uplink_rise_db: Annotated[float, Ge(0), Le(40)] = 0.0
    """Noise rise of every cell due to background traffic [dB]."""
    kind: Literal["share"] = "share"


@dataclass(frozen=True, kw_only=True)
class BackgroundUsers:
    """Users who are not part of the run, and whose files share the cells with its transfers.

    Files arrive at each user as a Poisson process. A file is sent as a transfer is: by the same
    scheduler, with the same power control, interference and backhaul, at the cost of site energy;
    it has no fixed costs of access. Users stand still at uniform places.
    """

    num_users: Annotated[int, Ge(1), Le(100_000)]
    """Users in the service area."""
    downlink_files_per_s: Annotated[float, Ge(0), Le(1000)] = 0.0
    """Files a second that each user downloads, on average."""
    uplink_files_per_s: Annotated[float, Ge(0), Le(1000)] = 0.0
    """Files a second that each user uploads, on average."""
    file_bytes: Annotated[int, Ge(1), Le(10**9)] = 500_000
    """Size of every file; 0.5 MB by default (our choice)."""
    give_up_after_s: Annotated[float, Gt(0)] = 60.0
    """Time [s] after which an unfinished file is given up (our choice): it bounds the files of a
    cell that is overloaded, and those of users out of coverage."""
    warm_up_s: Annotated[float, Ge(0), Le(600)] = 20.0
    """Time [s] for which the users have been there when the run starts, so that files are on their
    way already; 0 starts without any. The default (our choice) fills a cell at load 0.9 whose files
    take 50 ms alone. It is simulated, at the start of every run."""
    kind: Literal["users"] = "users"


BackgroundLoad = BackgroundShare | BackgroundUsers


@dataclass(frozen=True, kw_only=True)
class NoHandover:
    """No handover: a transfer stays in the cell that was strongest when it started."""

    kind: Literal["none"] = "none"


@dataclass(frozen=True, kw_only=True)
class A3Handover:
    """Event A3 of TS 38.331 clause 5.5.4.4 on filtered reference-signal power."""

    offset_db: Annotated[float, Ge(-15), Le(15)] = 0.0
    """Offset by which the neighbour must exceed the serving cell [dB]."""
    hysteresis_db: Annotated[float, Ge(0), Le(15)] = 3.0
    """Hysteresis [dB], added in the entering condition, subtracted in the leaving condition."""
    time_to_trigger_s: Annotated[float, Ge(0), Le(5.12)] = 0.256
    """Time [s] for which the entering condition must hold."""
    filter_coefficient: Annotated[int, Ge(0), Le(19)] = 4
    """Layer-3 filter coefficient k of clause 5.5.3.2; a = 2^(-k/4), samples every 200 ms."""
    interruption_s: Annotated[float, Ge(0)] = 0.05
    """Interruption [s] of transfers while a client changes cell."""
    kind: Literal["a3"] = "a3"


Handover = NoHandover | A3Handover


@dataclass(frozen=True, kw_only=True)
class LinkFailureConfig:
    """Radio link failure and re-establishment (TS 38.331 clause 5.3.10)."""

    out_of_sync_db: Annotated[float, Ge(-40), Le(40)] = -8.0
    """Downlink SINR [dB] below which a client is out of sync; also the edge of coverage."""
    in_sync_db: Annotated[float, Ge(-40), Le(40)] = -6.0
    """Downlink SINR [dB] above which it is in sync again."""
    timer_s: Annotated[float, Gt(0)] = 1.0
    """Time [s] out of sync until the link fails (T310)."""
    recovery_s: Annotated[float, Ge(0)] = 0.2
    """Time [s] of re-establishment in the strongest cell."""


@dataclass(frozen=True, kw_only=True)
class EnergyConfig:
    """Power model of the sites, after EARTH."""

    site_class: SiteClass | None = None
    """Row of the EARTH table; ``None`` is the environment's (macro, micro, macro or pico)."""
    site_sleep_after_s: Annotated[float, Ge(0)] | None = None
    """Time [s] without traffic after which a site sleeps until the next; ``None`` is never."""


@dataclass(frozen=True, kw_only=True)
class BackhaulLink:
    """One full-duplex link of the backhaul."""

    ends: tuple[str, str]
    """Names of its two nodes: ``server``, ``site-0``, ``site-1``, ... or the name of a router."""
    latency_s: Annotated[float, Ge(0)] = 0.0
    """One-way latency [s]."""
    rate_bps: Annotated[float, Gt(0)] | None = None
    """Rate in each direction [bit/s], shared by all transfers on it; ``None`` is no limit."""


@dataclass(frozen=True, kw_only=True)
class LinkCut:
    """A planned failure of a backhaul link."""

    ends: tuple[str, str]
    """The two nodes of the link, in either order."""
    started_at_s: Annotated[float, Ge(0)]
    """Start of the failure [s]."""
    finished_at_s: Annotated[float, Gt(0)]
    """End of the failure [s]."""


@dataclass(frozen=True, kw_only=True)
class StarBackhaul:
    """One link from each site to the server, all with the same settings."""

    latency_s: Annotated[float, Ge(0)] = 0.0
    """One-way latency [s]."""
    rate_bps: Annotated[float, Gt(0)] | None = None
    """Rate of each link [bit/s], shared by its transfers; ``None`` is no limit."""
    cuts: tuple[LinkCut, ...] = ()
    """Planned failures of links."""
    kind: Literal["star"] = "star"


@dataclass(frozen=True, kw_only=True)
class GraphBackhaul:
    """A graph of links between ``site-0``, ``site-1``, ..., routers and ``server``."""

    links: tuple[BackhaulLink, ...]
    """All links."""
    cuts: tuple[LinkCut, ...] = ()
    """Planned failures of links; traffic is rerouted where there is another route."""
    kind: Literal["graph"] = "graph"


BackhaulConfig = StarBackhaul | GraphBackhaul


@dataclass(frozen=True, kw_only=True)
class SiteOutage:
    """A planned outage of a site: its cells neither transmit nor receive."""

    site_id: Annotated[int, Ge(0)]
    """Index of the site in the layout."""
    started_at_s: Annotated[float, Ge(0)]
    """Start of the outage [s]."""
    finished_at_s: Annotated[float, Gt(0)]
    """End of the outage [s]."""


@dataclass(frozen=True, kw_only=True)
class SiteOutageRate:
    """Site outages at random: every site is up and down in turn, since long before the start."""

    mean_up_s: Annotated[float, Ge(0.001)]
    """Mean time in service, exponentially distributed [s]."""
    mean_down_s: Annotated[float, Ge(0.001)]
    """Mean time out of service, exponentially distributed [s]."""


@dataclass(frozen=True, kw_only=True)
class RadioConfig:
    """Settings of the radio access network and its backhaul."""

    bandwidth_hz: float
    """Channel bandwidth [Hz]; with the spacing it must be a pair of TS 38.101-1 Table 5.3.2-1."""
    subcarrier_spacing_hz: float
    """Subcarrier spacing [Hz]: 15e3, 30e3, 60e3 (120e3 above 24 GHz)."""
    fading: Fading = RayleighFading()
    """Fast fading of serving links; interfering links keep their mean gain."""
    scheduler: str = "proportional_fair"
    """Scheduler of every cell: a name of ``netsim.mac.schedulers``, or ``path.py:Class``."""
    uplink_power: UplinkPowerConfig = UplinkPowerConfig()
    """Uplink power control."""
    site_power_dbm: Annotated[float, Ge(0), Le(60)] | None = None
    """Power of a cell over the band [dBm]; ``None`` is the environment's (46, 41, 46 or 24).

    The default grows with bandwidths over 20 MHz, in FR1, as does the limit of the hardware of
    ``energy.site_class``: a block has the same power, so bandwidth does not change coverage. A
    given power is shared by all blocks.
    """
    duplex: FddDuplex | TddDuplex = FddDuplex()
    """Duplex mode of uplink and downlink."""
    mcs_table: Literal[1, 2] = 1
    """TS 38.214 table: 1 ends at 64QAM, 2 at 256QAM."""
    link_adaptation: LinkAdaptation = OuterLoopAdaptation()
    """Selection of the MCS."""
    knowledge_delay_slots: Annotated[int, Ge(0), Le(1000)] = 2
    """Age [slot] of the channel measurement that scheduling and MCS selection use."""
    uplink_overhead_fraction: Annotated[float, Ge(0), Lt(1)] | None = None
    """Share of resource elements without data in the uplink; ``None`` is 0.08 in FR1, 0.10 in FR2
    (TS 38.306 clause 4.1.2)."""
    downlink_overhead_fraction: Annotated[float, Ge(0), Lt(1)] | None = None
    """The same in the downlink; ``None`` is 0.14 in FR1, 0.18 in FR2."""
    site_noise_figure_db: Annotated[float, Ge(0), Le(30)] | None = None
    """Noise figure of the sites [dB]; ``None`` is 5 in FR1 (TR 36.814, TR 38.802, ITU-R M.2412), 7
    in FR2 (ITU-R M.2412)."""
    site_rx_antennas: Literal[1, 2, 4, 8, 64] = 4
    """Receive antennas of a cell, which are combined, each with the pattern and the gain of
    ``world.antenna``; clients have one, and sites transmit with one.

    Of a panel of 64 that antenna is one of 64 parts: choose its ``num_elements`` so.
    """
    site_combining: Literal["mrc", "mmse"] = "mrc"
    """How they are combined: by maximum ratio, or by MMSE, which suppresses clients of other cells
    as well as noise (IRC). Its sites know all channels exactly; ``uplink_rise_db`` of background
    traffic counts as noise."""
    site_rx_correlation: Annotated[float, Ge(0), Le(1)] = 0.0
    """Correlation of the fading of any two receive antennas of a cell. It reduces the diversity of
    combining, not its mean gain."""
    ue_noise_figure_db: Annotated[float, Ge(0), Le(30)] | None = None
    """Noise figure of the clients [dB]; ``None`` is 9 in FR1 (TR 36.814, TR 38.802; 7 in ITU-R
    M.2412), 10 in FR2 (ITU-R M.2412)."""
    interference: bool = True
    """Whether cells interfere with each other; if not, every cell has its noise only."""
    background_load: BackgroundLoad = BackgroundShare()
    """Traffic that is not part of the run: a constant share of the blocks, or users with files."""
    handover: Handover = A3Handover()
    """Change of cell during a transfer."""
    link_failure: LinkFailureConfig = LinkFailureConfig()
    """Loss of coverage."""
    access: AccessConfig | None = DEFAULT_ACCESS
    """Fixed costs of a transfer in time: connection, grants, round trips; ``null`` is none."""
    ue_power: UePowerConfig = DEFAULT_UE_POWER
    """Power model of the clients' radios."""
    energy: EnergyConfig = EnergyConfig()
    """Power model of the sites."""
    backhaul: BackhaulConfig = StarBackhaul()
    """Backhaul between sites and server."""
    outages: tuple[SiteOutage, ...] = ()
    """Planned site outages."""
    outage_rate: SiteOutageRate | None = None
    """Site outages at random, beside planned ones; ``null``: none."""
    channel_tick_s: Annotated[float, Gt(0)] = 0.05
    """Interval [s] at which gains and rates of moving or fading clients are updated during
    transfers; at least a slot. Schedulers that follow fades get finer steps of the fading."""
    transfer_timeout_s: Annotated[float, Gt(0)] = 600.0
    """Time [s] after which an unfinished transfer ends undelivered."""
    engine: Literal["flow", "slot"] = "flow"
    """``flow`` solves rates at events; ``slot`` simulates every slot (reference, slow)."""
