"""Who took part when, and whether clients with good links take part more often."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from analysis.canvas import figure_of, legend_above, one_axes, panel_grid, panels
from analysis.intervals import drawn_half_width, interval_ends
from analysis.load import Results
from analysis.picture import Picture, Subject, add_legend, drawn_words
from analysis.plots import PANEL_IN, curve_handles
from analysis.ranking import MANY_VARIANTS
from analysis.stats import mean_ci
from analysis.style import PALETTE, LineStyle, styles_of, variant_styles, with_background
from analysis.text_safety import figure_text

MOST_PANELS = 6
"""Variants whose map is drawn."""
NUM_GROUPS = 5
"""Groups of clients with like links [our choice]."""
_COLOURS = {"merged": PALETTE[0], "not merged": PALETTE[4]}
_PANEL_IN = 1.9
_MAP_COLUMNS = ["variant", "seed", "client_id", "round", "is_merged"]
_LINK_COLUMNS = ["variant", "group", "link", "link_mean", "mean", "half_width", "n"]
_LINKS = {"mean_sinr_db": "mean SINR of uploads [dB]", "uplink_mbps": "mean upload rate [Mbit/s]"}


def map_frame(results: Results) -> pd.DataFrame:
    """Return who took part in which round of the first used run of each variant.

    Returns
    -------
    pandas.DataFrame
        One row a client and round that it took part in: ``variant``, ``seed``, ``client_id``,
        ``round``, ``is_merged``: whether an update of it was merged in it.
    """
    rows = results.used(results.clients)
    rows = rows[rows["seed"] == rows.groupby("variant")["seed"].transform("min")]
    is_merged = rows["outcome"] == "received"
    keys = ["variant", "seed", "client_id", "round"]
    found = rows[keys].assign(is_merged=is_merged).groupby(keys, sort=False)["is_merged"].any()
    return found.reset_index()[_MAP_COLUMNS]


def draw_map(frame: pd.DataFrame, ax: Axes | None = None, *, legend: bool = True) -> Axes:
    """Draw clients against rounds, one cell each; who had most updates stands on top.

    Parameters
    ----------
    frame
        One run, as :func:`map_frame` gives it.
    ax
        Where to draw; ``None`` makes a figure.
    legend
        Whether colours are named above the Axes.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on. Clients that never took part have no row.
    """
    with one_axes(ax, height_in=PANEL_IN) as drawn:
        if len(frame):
            counts = frame.groupby("client_id")["is_merged"].agg(["sum", "size"])
            order = counts.sort_values(["sum", "size"], ascending=False, kind="stable").index
            place = {client: number for number, client in enumerate(order)}
            first, last = int(frame["round"].min()), int(frame["round"].max())
            cells = np.full((len(order), last - first + 1), np.nan)
            at = [place[client] for client in frame["client_id"]], frame["round"] - first
            cells[at] = np.where(frame["is_merged"], 0.0, 1.0)
            drawn.pcolormesh(
                np.arange(first - 0.5, last + 1.0),
                np.arange(-0.5, len(order)),
                np.ma.masked_invalid(cells),
                cmap=ListedColormap(list(_COLOURS.values())),
                norm=BoundaryNorm([-0.5, 0.5, 1.5], 2),
                rasterized=True,
            )
            drawn.set_ylim(len(order) - 0.5, -0.5)
        drawn.grid(visible=False)
        drawn.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        drawn.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        drawn.set_xlabel("round")
        drawn.set_ylabel("clients by updates")
        if legend:
            legend_above(drawn, map_handles(frame), is_new=ax is None)
    return drawn


def map_handles(frame: pd.DataFrame) -> list[Artist]:
    """Return the legend entries of a map."""
    have = {"merged" if each else "not merged" for each in frame["is_merged"]}
    return [Patch(color=colour, label=name) for name, colour in _COLOURS.items() if name in have]


def link_frame(results: Results) -> pd.DataFrame:
    """Return how often clients take part by how good their links are.

    The link of a client is the mean over its delivered uploads in all variants of a seed, which
    meet the same world: SINR in dB where any upload has one, otherwise the rate from request to
    end. Clients of a seed with a link are parted into equally large groups by it.

    Returns
    -------
    pandas.DataFrame
        One row a variant and group: ``variant``, ``group`` (0 has the worst links), ``link``
        (``mean_sinr_db`` or ``uplink_mbps``), ``link_mean`` of the group, mean over seeds, and
        ``mean``, ``half_width`` and ``n`` of the rounds in which a client of the group has an
        update merged, in percent of all rounds.
    """
    links, quantity = _links(results)
    rounds = results.used(results.rounds).groupby(["variant", "seed"]).size()
    rows = results.used(results.clients)
    rows = rows[rows["outcome"] == "received"]
    updates = rows.groupby(["variant", "seed", "client_id"])["round"].nunique()
    parts = []
    for variant, seed, num_rounds in rounds.reset_index(name="num").itertuples(index=False):
        own = links[links["seed"] == seed]
        if len(own) < NUM_GROUPS:
            continue
        rank = own["value"].rank(method="first").to_numpy() - 1
        keys = [(variant, seed, client) for client in own["client_id"]]
        taken = updates.reindex(keys, fill_value=0).to_numpy()
        each = pd.DataFrame(
            {
                "group": (rank * NUM_GROUPS // len(own)).astype(int),
                "percent": 100.0 * taken / num_rounds,
                "link_mean": own["value"].to_numpy(),
            }
        )
        means = each.groupby("group").mean().reset_index()
        parts.append(means.assign(variant=variant, seed=seed))
    if not parts:
        return pd.DataFrame(columns=_LINK_COLUMNS)
    runs = pd.concat(parts, ignore_index=True)
    order = [each.name for each in results.variants if (runs["variant"] == each.name).any()]
    runs["variant"] = pd.Categorical(runs["variant"], categories=order, ordered=True)
    runs = runs.sort_values(["variant", "group"], kind="stable").astype({"variant": "str"})
    frame = mean_ci(runs, by=["variant", "group"], value="percent")
    frame["link_mean"] = runs.groupby(["variant", "group"], sort=False)["link_mean"].mean()
    return frame.reset_index().assign(link=quantity)[_LINK_COLUMNS]


def draw_links(
    frame: pd.DataFrame,
    ax: Axes | None = None,
    *,
    styles: Mapping[str, LineStyle] | None = None,
    legend: bool = True,
) -> Axes:
    """Draw how often clients have updates merged against their links, one line a variant.

    Parameters
    ----------
    frame
        As :func:`link_frame` gives it.
    ax
        Where to draw; ``None`` makes a figure.
    styles
        Of each variant; ``None``: those of the frame, named as they are.
    legend
        Whether the variants are named above the Axes.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.
    """
    known = styles_of(frame["variant"], styles)
    with one_axes(ax, height_in=PANEL_IN) as drawn:
        for variant, rows in frame.groupby("variant", sort=False):
            style = known[str(variant)]
            low, high = interval_ends(
                rows["mean"], drawn_half_width(rows["half_width"], rows["n"]), support="positive"
            )
            ends = np.stack([rows["mean"] - low, high - rows["mean"]])
            drawn.errorbar(
                rows["link_mean"],
                rows["mean"],
                yerr=None if style.is_background else np.nan_to_num(ends).clip(min=0.0),
                color=style.colour,
                ls=style.dash,
                marker=style.marker,
                markeredgewidth=0,
                elinewidth=0.7,
                lw=0.8 if style.is_background else 1.2,
                zorder=1.8 if style.is_background else 2.5,
            )
        drawn.set_ylim(bottom=0.0)
        link = str(frame["link"].iloc[0]) if len(frame) else "mean_sinr_db"
        drawn.set_xlabel(_LINKS[link])
        drawn.set_ylabel("rounds with an update [%]")
        if legend and len(frame):
            handles = curve_handles(known, list(dict.fromkeys(map(str, frame["variant"]))))
            legend_above(drawn, handles, is_new=ax is None)
    return drawn


def participation_differs(results: Results) -> bool:
    """Whether variants of the same seed have other clients at work in some round."""
    rows = results.used(results.clients)
    if rows["variant"].nunique() < 2:
        return False
    own = rows[rows["seed"] == rows["seed"].min()]
    chosen = [
        set(zip(each["round"], each["client_id"], strict=True))
        for _, each in own.groupby("variant")
    ]
    return any(each != chosen[0] for each in chosen)


def map_subjects(results: Results) -> tuple[Subject, ...]:
    """Whether it makes a difference to who takes part which variant it is."""
    return (Subject(),) if participation_differs(results) else ()


def map_rows(results: Results, subject: Subject) -> pd.DataFrame:
    """Return who took part when."""
    return map_frame(results)


def draw_map_picture(results: Results, subject: Subject, frame: pd.DataFrame) -> Picture:
    """Draw the maps of the first variants, one page wide."""
    have = [each for each in results.variants if (frame["variant"] == each.name).any()]
    shown = have[:MOST_PANELS]
    grid = panel_grid(len(shown), a_row=3, panel_in=_PANEL_IN)
    axes = grid.make(is_shared=False)
    for place, (ax, variant) in enumerate(zip(axes, shown, strict=True)):
        draw_map(frame[frame["variant"] == variant.name], ax, legend=False)
        ax.set_title(figure_text(variant.label), loc="left", parse_math=False)
        is_left, is_last = grid.edges(place)
        ax.set_ylabel(ax.get_ylabel() if is_left else "")
        ax.set_xlabel(ax.get_xlabel() if is_last else "")
    figure = figure_of(axes[0])
    add_legend(figure, map_handles(frame))
    rest = len(have) - len(shown)
    return Picture(
        name="participation_map",
        title="Who took part when",
        caption="One panel a variant, seed "
        f"{int(frame['seed'].iloc[0])} (n = 1 run each: no interval). A row is a client, those "
        "with most updates on top, those that never took part left out; a column is a round, in "
        "asynchronous modes the aggregation into which the update went."
        f"{f' Further variants, in the data alone: {rest}.' if rest else ''}",
        figure=figure,
        data=frame,
    )


def link_subjects(results: Results) -> tuple[Subject, ...]:
    """Whether who takes part differs, and links of enough clients are known."""
    if not participation_differs(results):
        return ()
    return (Subject(),) if len(link_frame(results)) else ()


def link_rows(results: Results, subject: Subject) -> pd.DataFrame:
    """Return how often clients take part by their links."""
    return link_frame(results)


def draw_link_picture(results: Results, subject: Subject, frame: pd.DataFrame) -> Picture:
    """Draw how often clients take part by their links, one page wide."""
    styles = with_background(variant_styles(results.labels), MANY_VARIANTS)
    figure, (ax,) = panels(PANEL_IN)
    draw_links(frame, ax, styles=styles, legend=False)
    named = {name: style for name, style in styles.items() if not style.is_background}
    add_legend(figure, curve_handles(named, list(dict.fromkeys(frame["variant"]))))
    grey = len(styles) - len(named)
    return Picture(
        name="participation_links",
        title="Who takes part, by the quality of links",
        caption=f"Clients in {NUM_GROUPS} equally large groups by the mean of their uploads in all "
        "variants of the seed; those without any upload are left out. Rounds in which a client of "
        f"the group has an update merged, mean over seeds; whiskers: {drawn_words(frame)}."
        f"{f' The {grey} variants after the first {len(named)} are grey.' if grey else ''}",
        figure=figure,
        data=frame,
    )


def _links(results: Results) -> tuple[pd.DataFrame, str]:
    """Return ``seed``, ``client_id`` and ``value`` of every client with uploads, and of what."""
    rows = results.used(results.transfers)
    rows = rows[(rows["direction"] == "uplink") & (rows["status"] == "delivered")]
    if "mean_sinr_db" in rows and rows["mean_sinr_db"].notna().any():
        quantity, values = "mean_sinr_db", rows["mean_sinr_db"]
    else:
        seconds = rows["finished_at_s"] - rows["requested_at_s"]
        quantity = "uplink_mbps"
        values = 8e-6 * rows["size_bytes"] / seconds.where(seconds > 0.0)
    known = rows[["seed", "client_id"]].assign(value=values).dropna()
    return known.groupby(["seed", "client_id"])["value"].mean().reset_index(), quantity
