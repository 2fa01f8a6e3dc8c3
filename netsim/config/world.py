"""The ``world:`` section: layout of sites, mobility of clients, large-scale propagation.

Every value is in SI units unless its name says otherwise. A field left at ``None`` takes the value
of TR 38.901 for the environment, see :mod:`netsim.config.standard`.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt, MinLen

from netsim.config.environment import EnvironmentName
from netsim.config.sites import Point, SitesLayout

MAX_SPEED_MPS = 150.0
"""Highest accepted speed (our choice): 3GPP evaluations end at 500 km/h (139 m/s), the train of
TR 38.913; a higher value is a wrong unit, and every leg of a path is kept in memory."""
MIN_STEP_S = 0.1
"""Shortest accepted time between velocity changes (our choice): each change is a leg that is kept
in memory, 36 000 per client and hour."""
MIN_BLOCK_M = 10.0
"""Shortest accepted block (our choice): the width of a street; each crossing starts a leg."""

MIN_SPREAD_M = 1.0
"""Least extent of places that differ (our choice): nearer ones are in kilometres or degrees."""
MIN_SITE_GAP_M = 5.0
"""Least distance between two given sites (our choice): nearer ones are in kilometres or degrees, or
one site."""
MAX_SITE_EXTENT_M = 50e3
"""Largest extent of sites given by latitude and longitude (our choice), see
:mod:`netsim.world.geodesy`; farther ones are in metres."""
MAX_INSTANT_S = 1e8
"""Latest instant of a planned event (our choice): three years of simulated time; what is later is a
Unix time or not in seconds."""

Speed = Annotated[float, Gt(0), Le(MAX_SPEED_MPS)]


@dataclass(frozen=True, kw_only=True)
class SingleCellLayout:
    """One site at the origin with one omnidirectional cell."""

    radius_m: Annotated[float, Gt(0)] = 250.0
    """Radius [m] of the service area, within the range of the path-loss model."""
    kind: Literal["single_cell"] = "single_cell"


@dataclass(frozen=True, kw_only=True)
class HexagonalLayout:
    """Sites on a hexagonal grid, three sectors each (boresights 30, 150 and 270 degrees)."""

    num_sites: Literal[1, 7, 19] = 1
    """Number of sites: the centre and none, one or two rings."""
    isd_m: Annotated[float, Gt(0)] = 500.0
    """Inter-site distance [m]; cells must lie within the range of the path-loss model."""
    wraparound: bool = False
    """Whether the layout wraps around, so that outer sites have as many interferers as inner."""
    kind: Literal["hexagonal"] = "hexagonal"


@dataclass(frozen=True, kw_only=True)
class IndoorOfficeLayout:
    """Floor of 120 m x 50 m with 12 ceiling cells 20 m apart (ITU-R M.2412 indoor hotspot)."""

    office: Literal["mixed", "open"] = "mixed"
    """LOS probability of TR 38.901 Table 7.4.2-1: ``mixed`` (with walls) or ``open`` office."""
    kind: Literal["indoor_office"] = "indoor_office"


Layout = SingleCellLayout | HexagonalLayout | IndoorOfficeLayout | SitesLayout


@dataclass(frozen=True, kw_only=True)
class StaticMobility:
    """Static clients."""

    positions_m: Annotated[tuple[Point, ...], MinLen(1)] | None = None
    """Position (x, y) [m] of each client, in order of ids; ``None`` places them uniformly."""
    kind: Literal["static"] = "static"


@dataclass(frozen=True, kw_only=True)
class RandomWaypointMobility:
    """Straight legs between uniform points at uniform speeds, started in steady state."""

    min_speed_mps: Annotated[float, Ge(0)] = 0.5
    """Lowest speed [m/s]; 0 has no steady state and is refused, as is less than 1 / 10 000 of the
    highest: clients would spend nearly all time in their slowest legs."""
    max_speed_mps: Speed = 1.5
    """Highest speed [m/s]."""
    pause_s: Annotated[float, Ge(0)] = 0.0
    """Pause [s] at every waypoint."""
    kind: Literal["random_waypoint"] = "random_waypoint"


@dataclass(frozen=True, kw_only=True)
class RandomDirectionMobility:
    """Constant speed in a uniform direction, reflected at the border; stationary and uniform."""

    speed_mps: Speed = 0.83
    """Speed [m/s]; 3 km/h by default, the pedestrian of 3GPP evaluations."""
    kind: Literal["random_direction"] = "random_direction"


@dataclass(frozen=True, kw_only=True)
class GaussMarkovMobility:
    """Velocity with exponentially decaying correlation; reflected at the border."""

    mean_speed_mps: Speed = 1.0
    """Mean speed [m/s]."""
    speed_std_mps: Annotated[float, Ge(0), Le(MAX_SPEED_MPS)] = 0.3
    """Standard deviation [m/s] of each velocity component around its mean."""
    memory: Annotated[float, Ge(0), Lt(1)] = 0.8
    """Correlation of velocity from one step to the next."""
    step_s: Annotated[float, Ge(MIN_STEP_S)] = 1.0
    """Time [s] between velocity changes."""
    kind: Literal["gauss_markov"] = "gauss_markov"


@dataclass(frozen=True, kw_only=True)
class ManhattanMobility:
    """Streets on a square grid; straight on 0.5, left 0.25, right 0.25 at every crossing."""

    block_m: Annotated[float, Ge(MIN_BLOCK_M)] = 100.0
    """Distance [m] between parallel streets; at least one street and at most 100 000 crossings must
    lie in the service area."""
    speed_mps: Speed = 0.83
    """Mean speed [m/s]."""
    kind: Literal["manhattan"] = "manhattan"


@dataclass(frozen=True, kw_only=True)
class TraceMobility:
    """Positions read from a csv or parquet file."""

    path: str
    """File with columns ``client_id, at_s, x_m, y_m``, time increasing for each client."""
    kind: Literal["trace"] = "trace"


Mobility = (
    StaticMobility
    | RandomWaypointMobility
    | RandomDirectionMobility
    | GaussMarkovMobility
    | ManhattanMobility
    | TraceMobility
)


@dataclass(frozen=True, kw_only=True)
class NoShadowing:
    """Path loss only."""

    kind: Literal["none"] = "none"


@dataclass(frozen=True, kw_only=True)
class CorrelatedShadowing:
    """Log-normal shadowing, correlated in space as exp(-d / d_cor) (TR 38.901 Table 7.5-6)."""

    site_correlation: Annotated[float, Ge(0), Le(1)] = 0.0
    """Correlation between sites: 0 after TR 38.901, 0.5 after TR 36.814."""
    kind: Literal["correlated"] = "correlated"


@dataclass(frozen=True, kw_only=True)
class OmniAntenna:
    """The same gain in every direction."""

    gain_dbi: Annotated[float, Ge(-20), Le(40)] = 0.0
    """Gain [dBi]."""
    kind: Literal["omni"] = "omni"


@dataclass(frozen=True, kw_only=True)
class SectorAntenna:
    """Sector element of TR 38.901 Table 7.3-1 in a vertical column of elements."""

    num_elements: Annotated[int, Ge(1)] = 8
    """Elements in the column; 1 is a single element."""
    element_spacing_wavelengths: Annotated[float, Gt(0)] = 0.8
    """Distance between elements in wavelengths."""
    zenith_deg: Annotated[float, Gt(0), Lt(180)] = 99.0
    """Electrical steering of the column as a zenith angle [degree]; 90 is the horizon."""
    ray_averaged: bool = True
    """Whether the pattern is averaged over the rays of a link; if not, the gain of the line of
    sight is used."""
    kind: Literal["sector"] = "sector"


Antenna = OmniAntenna | SectorAntenna


@dataclass(frozen=True, kw_only=True)
class WorldConfig:
    """Settings of sites, mobility of clients and large-scale propagation between them."""

    environment: EnvironmentName
    """Path-loss model of TR 38.901: ``uma``, ``umi`` (street canyon), ``rma``, ``inh`` (office)."""
    layout: Layout
    """Layout of the sites."""
    carrier_hz: Annotated[float, Gt(0)]
    """Carrier frequency [Hz], in frequency range 1 (410 MHz to 7.125 GHz) or 2 (24.25 to 71 GHz) of
    TS 38.104, and within the range of the path-loss model."""
    mobility: Mobility = StaticMobility()
    """Mobility of the clients."""
    line_of_sight: Literal["probability", "always", "never"] = "probability"
    """``probability``: spatially consistent states after TR 38.901 Table 7.4.2-1; or one state."""
    shadowing: NoShadowing | CorrelatedShadowing = CorrelatedShadowing()
    """Shadow fading."""
    antenna: Antenna | None = None
    """Site antenna; ``None`` is a column of elements for sectors, else omnidirectional, 0 dBi."""
    site_height_m: Annotated[float, Gt(0)] | None = None
    """Antenna height [m] of the sites; ``None`` is the environment's (25, 10, 35 or 3 m)."""
    ue_height_m: Annotated[float, Gt(0)] | None = None
    """Antenna height [m] of the clients; ``None`` is 1.5 m (1 m in ``inh``)."""
    indoor_fraction: Annotated[float, Ge(0), Le(1)] = 0.0
    """Share of clients inside buildings."""
    car_fraction: Annotated[float, Ge(0), Le(1)] = 0.0
    """Share of clients in cars."""
    car_windows: Literal["plain", "metallised"] = "plain"
    """Windows of cars, TR 38.901 clause 7.4.3.2: mean loss 9 dB, ``metallised`` 20 dB."""
    penetration: Literal["legacy", "low", "high", "mixed"] = "low"
    """Entry loss of buildings, TR 38.901 clause 7.4.3: ``legacy`` (< 6 GHz), ``low``, ``high``, or
    ``mixed``: walls of high loss for some clients, of low loss for the others."""
    high_loss_fraction: Annotated[float, Gt(0), Lt(1)] = 0.2
    """Share of the clients indoors whose building has walls of high loss, where these are mixed;
    the standard leaves it open, the default is our choice."""
