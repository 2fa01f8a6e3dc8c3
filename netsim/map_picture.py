"""Map of a scenario: downlink SINR over the area, sites, sectors, clients and their tracks."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float

from netsim.channel.channel import Channel
from netsim.channel.geometry import wideband_sinr
from netsim.config import RadioConfig, WorldConfig
from netsim.config.radio import NoFading
from netsim.engines.air_setup import make_air_interface
from netsim.units import linear_to_db
from netsim.world.layout import Layout, build_layout
from netsim.world.population import Population

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_LINKS = 600_000
"""Largest number of pixels times sites; takes about ten seconds."""
MAX_PIXELS_ALONG = 260
SMOOTHING_PIXELS = 5
"""Side of the median filter, odd."""
CHUNK_POINTS = 2000
MAX_CLIENTS, MAX_TRACKS = 300, 40
"""Most clients and tracks drawn: more would hide the map."""
TRACK_POINTS = 400
TRACK_SHARE = 0.12
"""Length of a typical track over the diameter of the area."""
TRACK_DURATIONS_S = (10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
SCALE_STEP_DB = 5.0

ENVIRONMENT_NAMES = {"uma": "UMa", "umi": "UMi", "rma": "RMa", "inh": "Indoor office"}
INK, PAPER = "#24292f", "#ffffff"
CLIENT_COLOUR, SITE_COLOUR = "#d55e00", "#24292f"
"""Vermilion of Okabe and Ito: distinct from every colour of the map below."""
COLOUR_MAP = "cividis"
"""Designed for all kinds of colour vision and for printing in grey."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MapSummary:
    """Numbers of what the map shows."""

    path: str
    num_sites: int
    num_cells: int
    num_clients_drawn: int
    sinr_p5_db: float
    """Percentile over the service area, not over clients [dB]."""
    sinr_p50_db: float
    sinr_p95_db: float


@dataclass(frozen=True)
class _Ground:
    """Pixels of the map."""

    extent_m: tuple[float, float, float, float]
    """Left, right, bottom, top: the order of ``matplotlib`` images."""
    position_m: Float[np.ndarray, "point 2"]
    is_inside: Bool[np.ndarray, "row column"]


def draw_map(
    world: WorldConfig,
    radio: RadioConfig,
    *,
    num_clients: int,
    seed: int,
    path: str | Path,
    track_s: float | None = None,
) -> MapSummary:
    """Draw the world of a scenario and write it to a file.

    Parameters
    ----------
    world, radio
        The scenario's sections, without broken rules.
    num_clients
        Number of clients; dots are drawn for the first 300, tracks for the first 40.
    seed
        Root seed: the map shows the fields and positions of that run.
    path
        File to write; the suffix decides the format (``.png``, ``.svg``, ``.pdf``).
    track_s
        Tracks run from 0 s to this instant [s], > 0; ``None`` chooses it from the clients' speed.

    Returns
    -------
    MapSummary
        What was drawn, and percentiles of the SINR over the area.

    Raises
    ------
    ValueError
        If ``num_clients`` or ``track_s`` is not positive.
    """
    if num_clients < 1 or (track_s is not None and track_s <= 0):
        msg = f"num_clients and track_s: must be > 0, got {num_clients} and {track_s}"
        raise ValueError(msg)
    layout = build_layout(world.layout)
    population = Population(world, layout, seed=seed)
    ground = _ground(layout)
    sinr_db = ground_sinr_db(
        world, radio, layout, ground.position_m, seed=seed, first_probe_id=num_clients
    )
    drawn = np.arange(min(num_clients, MAX_CLIENTS))
    start_m = population.positions_m(drawn, at_s=0.0)
    figure, axes = _figure(layout)
    is_disturbed = radio.interference and len(layout.cells) > 1
    _draw_sinr(figure, axes, ground, sinr_db, is_disturbed=is_disturbed)
    _draw_sites(axes, layout)
    if population.is_moving:
        _draw_tracks(axes, population, drawn[:MAX_TRACKS], layout=layout, track_s=track_s)
    _draw_clients(axes, start_m, num_clients=num_clients)
    _label(figure, axes, world, layout, seed=seed)
    _save(figure, path)
    p5_db, p50_db, p95_db = np.percentile(sinr_db, [5, 50, 95])
    return MapSummary(
        path=str(path),
        num_sites=len(layout.sites),
        num_cells=len(layout.cells),
        num_clients_drawn=len(drawn),
        sinr_p5_db=float(p5_db),
        sinr_p50_db=float(p50_db),
        sinr_p95_db=float(p95_db),
    )


def ground_sinr_db(
    world: WorldConfig,
    radio: RadioConfig,
    layout: Layout,
    position_m: Float[np.ndarray, "point 2"],
    *,
    seed: int,
    first_probe_id: int,
) -> Float[np.ndarray, " point"]:
    """Return the SINR [dB] of the strongest cell at outdoor points, all cells transmitting.

    Fast fading is left out. Line of sight and shadowing are the fields of the run; penetration loss
    is left out, as it is drawn per client. Rays are drawn per client too: every point is a client
    of its own, so the distribution over the area is that of clients.

    Parameters
    ----------
    world, radio
        The scenario's sections.
    layout
        Sites and cells of the same world.
    position_m
        Points at which the SINR is computed [m].
    seed
        Root seed of the run.
    first_probe_id
        Client id of the first point; the others follow in order.
    """
    outdoors = replace(world, indoor_fraction=0.0, car_fraction=0.0)
    unfaded = replace(radio, fading=NoFading())
    channel = Channel(outdoors, unfaded, layout, seed=seed)
    air, budget = (
        make_air_interface(outdoors, unfaded, layout=layout, channel=channel),
        channel.link_budget,
    )
    probe_ids = first_probe_id + np.arange(len(position_m))
    chunks = np.array_split(np.arange(len(position_m)), -(-len(position_m) // CHUNK_POINTS))
    sinr = [
        wideband_sinr(
            air.cell_block_w * budget.gain_at(position_m[chunk], client_ids=probe_ids[chunk]),
            noise_w=air.ue_noise_w,
            is_interfering=air.is_interfering,
        )
        for chunk in chunks
    ]
    return linear_to_db(np.concatenate(sinr))


def _ground(layout: Layout) -> _Ground:
    x0_m, y0_m, x1_m, y1_m = layout.area.bounds_m
    width_m, height_m = x1_m - x0_m, y1_m - y0_m
    pixel_m = max(
        max(width_m, height_m) / MAX_PIXELS_ALONG,
        float(np.sqrt(width_m * height_m * len(layout.sites) / MAX_LINKS)),
    )
    columns = int(np.ceil(width_m / pixel_m))
    rows = int(np.ceil(height_m / pixel_m))
    x_m = x0_m + pixel_m * (np.arange(columns) + 0.5)
    y_m = y0_m + pixel_m * (np.arange(rows) + 0.5)
    position_m = np.stack(np.meshgrid(x_m, y_m), axis=-1).reshape(-1, 2)
    is_inside = layout.area.contains(position_m)
    extent_m = (x0_m, x0_m + pixel_m * columns, y0_m, y0_m + pixel_m * rows)
    return _Ground(extent_m, position_m[is_inside], is_inside.reshape(rows, columns))


def _figure(layout: Layout) -> "tuple[Figure, Axes]":
    from matplotlib.figure import Figure  # noqa: PLC0415 (a second that only pictures need)

    x0_m, y0_m, x1_m, y1_m = layout.area.bounds_m
    height_in = 6.2 * (y1_m - y0_m) / (x1_m - x0_m) + 0.9
    figure = Figure(figsize=(7.4, min(max(height_in, 3.4), 7.6)), layout="constrained")
    axes = figure.add_subplot()
    axes.set_aspect("equal")
    return figure, axes


def _draw_sinr(
    figure: "Figure",
    axes: "Axes",
    ground: _Ground,
    sinr_db: Float[np.ndarray, " point"],
    *,
    is_disturbed: bool,
) -> None:
    pixels = _smooth(sinr_db, ground)
    low_db, high_db = np.nanpercentile(pixels, [2, 98])
    image = axes.imshow(
        pixels,
        extent=ground.extent_m,
        origin="lower",
        cmap=COLOUR_MAP,
        vmin=SCALE_STEP_DB * np.floor(low_db / SCALE_STEP_DB),
        vmax=SCALE_STEP_DB * np.ceil(high_db / SCALE_STEP_DB),
        interpolation="nearest",
    )
    bar = figure.colorbar(image, cax=axes.inset_axes((1.02, 0.0, 0.03, 1.0)), extend="both")
    what = "SINR at full load" if is_disturbed else "SNR"
    bar.set_label(f"Downlink {what} [dB]", color=INK)
    bar.ax.tick_params(color=INK, labelcolor=INK)
    bar.outline.set_linewidth(0.6)


def _smooth(
    sinr_db: Float[np.ndarray, " point"], ground: _Ground
) -> Float[np.ndarray, "row column"]:
    """Return the median of the points around each pixel, as rays differ from point to point."""
    half = SMOOTHING_PIXELS // 2
    rows, columns = ground.is_inside.shape
    framed = np.full((rows + 2 * half, columns + 2 * half), np.nan)
    framed[half : half + rows, half : half + columns][ground.is_inside] = sinr_db
    pixels = np.full(ground.is_inside.shape, np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(framed, (SMOOTHING_PIXELS,) * 2)
    around = windows[ground.is_inside].reshape(len(sinr_db), -1)
    pixels[ground.is_inside] = np.nanmedian(around, axis=1)
    return pixels


def _draw_sites(axes: "Axes", layout: Layout) -> None:
    has_sectors = any(cell.boresight_deg is not None for cell in layout.cells)
    reach_m = 0.14 * _site_gap_m(layout)
    for cell in layout.cells:
        if cell.boresight_deg is not None:
            site = layout.sites[cell.site_id]
            angle_rad = np.radians(cell.boresight_deg)
            x_m = [site.x_m, site.x_m + reach_m * float(np.cos(angle_rad))]
            y_m = [site.y_m, site.y_m + reach_m * float(np.sin(angle_rad))]
            for width, colour in ((4.2, PAPER), (2.0, SITE_COLOUR)):
                axes.plot(x_m, y_m, color=colour, linewidth=width, zorder=4, solid_capstyle="round")
    axes.scatter(
        layout.site_position_m[:, 0],
        layout.site_position_m[:, 1],
        s=34.0,
        marker="o" if has_sectors else "^",
        color=SITE_COLOUR,
        edgecolor=PAPER,
        linewidth=0.9,
        zorder=5,
        label="site with its sectors" if has_sectors else "site",
    )


def _site_gap_m(layout: Layout) -> float:
    if len(layout.sites) == 1:
        return float(layout.area.diameter_m) / 2
    gap_m = layout.site_position_m[1:] - layout.site_position_m[0]
    return float(np.hypot(gap_m[:, 0], gap_m[:, 1]).min())


def _draw_tracks(
    axes: "Axes",
    population: Population,
    client_ids: np.ndarray,
    *,
    layout: Layout,
    track_s: float | None,
) -> None:
    if track_s is None:
        track_s = _readable_duration_s(population, client_ids, layout.area.diameter_m)
    tracks_m = np.stack(
        [
            population.positions_m(client_ids, at_s=float(at_s))
            for at_s in np.linspace(0.0, track_s, TRACK_POINTS)
        ]
    )
    label = f"track, first {track_s / 60:g} min" if track_s >= 60 else f"track, first {track_s:g} s"
    if tracks_m.shape[1] == MAX_TRACKS:
        label += f" ({MAX_TRACKS} clients)"
    for k in range(tracks_m.shape[1]):
        line = tracks_m[:, k].T
        axes.plot(*line, color=PAPER, linewidth=2.4, alpha=0.8, zorder=2, solid_capstyle="round")
        axes.plot(
            *line,
            color=CLIENT_COLOUR,
            linewidth=1.2,
            zorder=2.5,
            solid_capstyle="round",
            label=label if k == 0 else None,
        )


def _readable_duration_s(
    population: Population, client_ids: np.ndarray, diameter_m: float
) -> float:
    """Return the duration in which a typical client covers an eighth of the area's diameter."""
    at_s = np.linspace(0.0, 60.0, 7)
    places_m = np.stack([population.positions_m(client_ids, at_s=float(s)) for s in at_s])
    step_m = np.diff(places_m, axis=0)
    speed_mps = float(np.mean(np.hypot(step_m[..., 0], step_m[..., 1]))) / float(at_s[1])
    wanted_s = TRACK_SHARE * diameter_m / max(speed_mps, 1e-3)
    return max((s for s in TRACK_DURATIONS_S if s <= wanted_s), default=TRACK_DURATIONS_S[0])


def _draw_clients(
    axes: "Axes", start_m: Float[np.ndarray, "client 2"], *, num_clients: int
) -> None:
    count = f"{num_clients}"
    if len(start_m) < num_clients:
        count = f"first {len(start_m)} of {num_clients}"
    axes.scatter(
        start_m[:, 0],
        start_m[:, 1],
        s=22.0,
        color=CLIENT_COLOUR,
        edgecolor=PAPER,
        linewidth=0.8,
        zorder=3,
        label=f"client at 0 s ({count})",
    )


def _label(
    figure: "Figure", axes: "Axes", world: WorldConfig, layout: Layout, *, seed: int
) -> None:
    axes.set_xlabel("x [m]", color=INK)
    axes.set_ylabel("y [m]", color=INK)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(color=INK, labelcolor=INK)
    cells = f"{len(layout.sites)} sites, {len(layout.cells)} cells"
    if len(layout.sites) == 1:
        cells = f"1 site, {len(layout.cells)} cell{'s' if len(layout.cells) > 1 else ''}"
    air = f"{ENVIRONMENT_NAMES[world.environment]} at {world.carrier_hz / 1e9:g} GHz"
    axes.set_title(
        f"{air}: {cells}, seed {seed}",
        color=INK,
        loc="left",
        fontsize=11,
    )
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9, labelcolor=INK)


def _save(figure: "Figure", path: str | Path) -> None:
    """Write the figure without date, version or random ids: equal figures give equal bytes."""
    from matplotlib import rc_context  # noqa: PLC0415

    dated = {".svg": "Date", ".png": "Software", ".pdf": "CreationDate"}
    suffix = Path(path).suffix.lower()
    metadata = {dated[suffix]: None} if suffix in dated else None
    with rc_context({"svg.hashsalt": "airtune"}):
        figure.savefig(path, dpi=170, metadata=metadata)
