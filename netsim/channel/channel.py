"""Large-scale gain and fast fading of clients at an instant, both pure functions of time.

Uplink and downlink of a link have the same gain and the same fading of the first antenna; sites
combine all their antennas in the uplink and send with the first. With TDD that is reciprocity; with
FDD, whose two bands fade independently, it is our choice.
"""

import numpy as np
from jaxtyping import Float, Int

from netsim.channel.doppler import doppler_hz
from netsim.channel.fading import Fading as FadingModel
from netsim.channel.fading import NoFading as NoFadingModel
from netsim.channel.fading import Rayleigh, Rician
from netsim.channel.link_budget import LinkBudget
from netsim.channel.receive_antennas import CombinedFading, DirectionGains, maximum_ratio
from netsim.channel.tdl import TappedDelayLine
from netsim.config.radio import (
    Fading,
    NoFading,
    RadioConfig,
    RayleighFading,
    RicianFading,
    TdlFading,
)
from netsim.config.world import (
    GaussMarkovMobility,
    ManhattanMobility,
    Mobility,
    RandomDirectionMobility,
    RandomWaypointMobility,
    StaticMobility,
    TraceMobility,
    WorldConfig,
)
from netsim.frequency_range import frequency_range
from netsim.phy.resource_grid import (
    block_bandwidth_hz,
    num_resource_blocks,
)
from netsim.world.layout import Layout
from netsim.world.mobility.trace import read_trace
from netsim.world.population import Population

MIN_DOPPLER_SPEED_MPS = 3 / 3.6
"""Speed for the Doppler of static clients, as scatterers move: 3 km/h as in 3GPP evaluations."""

BLOCKS_PER_GROUP = ((36, 2), (72, 4), (144, 8), (275, 16))
"""Pairs (largest number of blocks of the carrier, blocks of a resource-block group): TS 38.214
Table 5.1.2.2.1-1, configuration 1 (recollected)."""


def num_groups(fading: Fading, num_blocks: int) -> int:
    """Return the number of resource-block groups that are simulated: 1 where fading is flat."""
    if not isinstance(fading, TdlFading):
        return 1
    width = next(blocks for limit, blocks in BLOCKS_PER_GROUP if num_blocks <= limit)
    return -(-num_blocks // width)


def typical_speed_mps(mobility: Mobility) -> float:
    """Return the speed for a scenario's Doppler: the mean while moving, at least 3 km/h.

    One value for all clients and times, as a sum of waves is a function of time only at constant
    Doppler. For random waypoint it is the mean over time of :func:`waypoint_speed_mps`, as slow
    legs last longer; for a trace, whose file must be readable, the mean over all clients of
    :func:`trace_speed_mps`.
    """
    match mobility:
        case RandomWaypointMobility():
            speed = waypoint_speed_mps(mobility.min_speed_mps, mobility.max_speed_mps)
        case RandomDirectionMobility() | ManhattanMobility():
            speed = mobility.speed_mps
        case GaussMarkovMobility():
            speed = mobility.mean_speed_mps
        case TraceMobility():
            speed = trace_speed_mps(mobility.path)
        case StaticMobility():
            speed = 0.0
    return max(speed, MIN_DOPPLER_SPEED_MPS)


def waypoint_speed_mps(min_mps: float, max_mps: float) -> float:
    """Return the mean speed [m/s] over the moving time of random waypoint: (b - a) / ln(b / a).

    Parameters
    ----------
    min_mps, max_mps
        Range [m/s] from which the speed of each leg is drawn uniformly, 0 < a <= b.

    References
    ----------
    The stationary density of the speed is 1 / (v ln(b / a)): Navidi and Camp, IEEE Trans. Mobile
    Computing 3(1), 2004 (recollected).

    Examples
    --------
    >>> round(waypoint_speed_mps(1.0, 20.0), 4)
    6.3424
    """
    # log1p keeps all digits for a narrow range, where b - a and ln(b / a) both vanish.
    growth = (max_mps - min_mps) / min_mps
    return max_mps if growth == 0 else float((max_mps - min_mps) / np.log1p(growth))


def trace_speed_mps(path: str) -> float:
    """Return the mean speed [m/s] of all clients of a trace over the time in which they move.

    Distance over time, both summed over the segments longer than 0 m; 0 if no client moves.

    Raises
    ------
    ValueError
        As :func:`netsim.world.mobility.trace.read_trace`.
    """
    length_m = moving_s = 0.0
    for at_s, x_m, y_m in read_trace(path).values():
        segment_m = np.hypot(np.diff(x_m), np.diff(y_m))
        length_m += float(segment_m.sum())
        moving_s += float(np.diff(at_s)[segment_m > 0].sum())
    return length_m / moving_s if moving_s > 0 else 0.0


def make_fading(fading: Fading, *, seed: int, num_branches: int = 1) -> FadingModel:
    """Return the fading process of the settings, with this number of independent antennas."""
    match fading:
        case NoFading():
            return NoFadingModel()
        case RayleighFading():
            return Rayleigh(seed, num_branches=num_branches)
        case RicianFading():
            return Rician(seed, k_factor_db=fading.k_db, num_branches=num_branches)
        case TdlFading():
            return TappedDelayLine(
                seed,
                profile=fading.profile,
                delay_spread_s=fading.delay_spread_s,
                num_branches=num_branches,
            )


def _group_centres_hz(count: int, width_hz: float) -> Float[np.ndarray, " group"]:
    """Return the centres of groups of equal width, relative to the carrier."""
    return ((np.arange(count) + 0.5) / count - 0.5) * width_hz


class Channel:
    """Gains from clients to cells at given instants.

    Parameters
    ----------
    world, radio
        The scenario's sections.
    layout
        Sites and cells.
    seed
        Root seed of the run.
    """

    def __init__(
        self, world: WorldConfig, radio: RadioConfig, layout: Layout, *, seed: int
    ) -> None:
        self.population = Population(world, layout, seed=seed)
        self.link_budget = LinkBudget(world, layout, self.population, seed=seed)
        self.num_cells = len(layout.cells)
        num_blocks = num_resource_blocks(
            radio.bandwidth_hz,
            radio.subcarrier_spacing_hz,
            band=frequency_range(world.carrier_hz),
        )
        self.is_fading = not isinstance(radio.fading, NoFading) and radio.fading.mode == "block"
        """Whether gains follow the fading; in ergodic mode they keep their mean."""
        all_groups = num_groups(radio.fading, num_blocks)
        self.num_groups = all_groups if self.is_fading else 1
        combining = maximum_ratio(radio.site_rx_antennas, correlation=radio.site_rx_correlation)
        process = make_fading(radio.fading, seed=seed, num_branches=len(combining.weights))
        self._fading = CombinedFading(process, combining)
        speed_mps = typical_speed_mps(world.mobility)
        self.doppler_hz = float(doppler_hz(speed_mps, carrier_hz=world.carrier_hz))
        width_hz = num_blocks * block_bandwidth_hz(radio.subcarrier_spacing_hz)
        self._offset_hz = _group_centres_hz(self.num_groups, width_hz)
        self.all_offsets_hz = tuple(_group_centres_hz(all_groups, width_hz).tolist())
        """Centres of the groups of a frequency-selective channel relative to the carrier [Hz], in
        block and ergodic mode alike."""

    @property
    def is_varying(self) -> bool:
        """Whether gains change with time."""
        return self.is_fading or self.population.is_moving

    def gain(
        self, client_ids: Int[np.ndarray, " client"], *, at_s: float
    ) -> Float[np.ndarray, "client cell"]:
        """Return linear coupling gains without fast fading."""
        return self.link_budget.gain(client_ids, at_s=at_s)

    def gain_holds_until_s(self, client_ids: Int[np.ndarray, " client"]) -> float:
        """Return the instant until which the last gains of these clients are valid [s]."""
        return self.link_budget.holds_until_s(client_ids)

    def fading_over(
        self,
        client_ids: Int[np.ndarray, " client"],
        cell_ids: Int[np.ndarray, " client"],
        *,
        at_s: Float[np.ndarray, " time"],
    ) -> DirectionGains:
        """Return the fading power gain of clients' links to their cells, with mean 1.

        Its axes are time, client and group. It is 1 for a client without a cell (negative id).
        """
        num_times, num_links = len(at_s), len(client_ids)
        shape = (num_times, num_links, self.num_groups)
        if not self.is_fading:
            ones = np.ones(shape)
            return DirectionGains(ones, ones)
        link_id = client_ids * self.num_cells + np.maximum(cell_ids, 0)
        gains = self._fading.both(
            np.tile(link_id, num_times),
            doppler_hz=np.full(num_times * num_links, self.doppler_hz),
            at_s=np.repeat(at_s, num_links),
            offset_hz=self._offset_hz,
        )
        uplink, downlink = (
            np.where((cell_ids >= 0)[:, None], gain.reshape(shape), 1.0) for gain in gains
        )
        return DirectionGains(uplink, downlink)
