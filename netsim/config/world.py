"""The ``world:`` section: where the sites stand, how clients move, what the air does to a signal.

Every value is in SI units unless its name says otherwise. A field left at ``None`` takes the value
that TR 38.901 gives for the environment; :mod:`netsim.config.standard` holds those values.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt, MinLen

from netsim.config.environment import EnvironmentName

Point = tuple[float, float]

MAX_SPEED_MPS = 150.0
"""Fastest movement taken (our choice): 3GPP evaluations end at 500 km/h (139 m/s), the train of
TR 38.913; more is a wrong unit, and every leg of a path is kept."""
MIN_STEP_S = 0.1
"""Shortest time between velocity changes taken (our choice): nobody walks or drives to a finer
rule, and each is a leg that is kept, 36 000 for each client and hour."""
MIN_BLOCK_M = 10.0
"""Shortest block taken (our choice): a street's width; each crossing is the start of a leg."""

Speed = Annotated[float, Gt(0), Le(MAX_SPEED_MPS)]


@dataclass(frozen=True, kw_only=True)
class SingleCellLayout:
    """One site at the origin with one cell that looks in every direction."""

    radius_m: Annotated[float, Gt(0)] = 250.0
    """Radius [m] of the disc in which clients live; within the range of the path-loss model."""
    kind: Literal["single_cell"] = "single_cell"


@dataclass(frozen=True, kw_only=True)
class HexagonalLayout:
    """Sites on a hexagonal grid, three sectors each (boresights 30, 150 and 270 degrees)."""

    num_sites: Literal[1, 7, 19] = 1
    """Sites: the centre, and one or two rings around it."""
    isd_m: Annotated[float, Gt(0)] = 500.0
    """Distance [m] between neighbouring sites; cells must lie in the path-loss model's range."""
    wraparound: bool = False
    """Whether the area closes on itself, so that outer sites see as many interferers."""
    kind: Literal["hexagonal"] = "hexagonal"


@dataclass(frozen=True, kw_only=True)
class IndoorOfficeLayout:
    """Floor of 120 m x 50 m with 12 ceiling cells 20 m apart (ITU-R M.2412 indoor hotspot)."""

    office: Literal["mixed", "open"] = "mixed"
    """Line-of-sight probability of TR 38.901 Table 7.4.2-1: ``mixed`` has walls, ``open`` none."""
    kind: Literal["indoor_office"] = "indoor_office"


@dataclass(frozen=True, kw_only=True)
class SitesLayout:
    """Sites at given places in a rectangular plane around the origin."""

    positions_m: Annotated[tuple[Point, ...], MinLen(1)]
    """Place (x, y) [m] of each site, in order of ids; within the plane."""
    width_m: Annotated[float, Gt(0)]
    """Extent [m] of the plane in which clients live, along x."""
    height_m: Annotated[float, Gt(0)]
    """The same along y."""
    num_sectors: Literal[1, 3] = 3
    """Cells of a site: one all around, or three (boresights 30, 150 and 270 degrees)."""
    kind: Literal["sites"] = "sites"

    @property
    def has_sectors(self) -> bool:
        """Whether its cells look in different directions."""
        return self.num_sectors > 1


Layout = SingleCellLayout | HexagonalLayout | IndoorOfficeLayout | SitesLayout


@dataclass(frozen=True, kw_only=True)
class StaticMobility:
    """Clients never move."""

    positions_m: Annotated[tuple[Point, ...], MinLen(1)] | None = None
    """Place (x, y) [m] of each client, in order of ids; ``None`` places them uniformly."""
    kind: Literal["static"] = "static"


@dataclass(frozen=True, kw_only=True)
class RandomWaypointMobility:
    """Straight legs between uniform points, each at a uniform speed; started in steady state."""

    min_speed_mps: Annotated[float, Ge(0)] = 0.5
    """Lowest speed [m/s]; 0 has no steady state and is refused, as is less than 1 / 10 000 of the
    highest: clients would be stuck in their slowest legs."""
    max_speed_mps: Speed = 1.5
    """Highest speed [m/s]."""
    pause_s: Annotated[float, Ge(0)] = 0.0
    """Rest [s] at every waypoint."""
    kind: Literal["random_waypoint"] = "random_waypoint"


@dataclass(frozen=True, kw_only=True)
class RandomDirectionMobility:
    """Constant speed in a uniform direction, reflected at the border; stays uniform in space."""

    speed_mps: Speed = 0.83
    """Speed [m/s]; 3 km/h by default, the pedestrian of 3GPP evaluations."""
    kind: Literal["random_direction"] = "random_direction"


@dataclass(frozen=True, kw_only=True)
class GaussMarkovMobility:
    """Velocity that forgets its past exponentially; reflected at the border."""

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
    """Streets on a square grid; straight 0.5, left 0.25, right 0.25 at every crossing."""

    block_m: Annotated[float, Ge(MIN_BLOCK_M)] = 100.0
    """Distance [m] between parallel streets; the service area must hold at least one street and at
    most 100 000 crossings."""
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
    """Elements in the column; 1 is the bare element."""
    element_spacing_wavelengths: Annotated[float, Gt(0)] = 0.8
    """Distance between elements in wavelengths."""
    zenith_deg: Annotated[float, Gt(0), Lt(180)] = 99.0
    """Zenith angle [degree] that the column points at electrically; 90 is the horizon."""
    ray_averaged: bool = True
    """Average the pattern over the rays of a link instead of taking the line of sight's gain."""
    kind: Literal["sector"] = "sector"


Antenna = OmniAntenna | SectorAntenna


@dataclass(frozen=True, kw_only=True)
class WorldConfig:
    """Everything about space: sites, clients' places and the large-scale loss between them."""

    environment: EnvironmentName
    """Path-loss model of TR 38.901: ``uma``, ``umi`` (street canyon), ``rma``, ``inh`` (office)."""
    layout: Layout
    """Where the sites stand."""
    carrier_hz: Annotated[float, Gt(0)]
    """Carrier frequency [Hz], in frequency range 1 (410 MHz to 7.125 GHz) or 2 (24.25 to 71 GHz) of
    TS 38.104, and within the range of the path-loss model."""
    mobility: Mobility = StaticMobility()
    """How clients move."""
    line_of_sight: Literal["probability", "always", "never"] = "probability"
    """``probability`` after TR 38.901 Table 7.4.2-1, consistent in space; or one state."""
    shadowing: NoShadowing | CorrelatedShadowing = CorrelatedShadowing()
    """Slow loss around the path loss."""
    antenna: Antenna | None = None
    """Site antenna; ``None`` is a column of elements for sectors, else 0 dBi all around."""
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
    penetration: Literal["legacy", "low", "high"] = "low"
    """Entry loss of buildings, TR 38.901 clause 7.4.3: ``legacy`` (< 6 GHz), ``low``, ``high``."""
