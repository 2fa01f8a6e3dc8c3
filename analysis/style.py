"""How figures look: palette, line styles, sizes, and settings that make their bytes repeatable."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from analysis.text_safety import figure_text

COLUMN_WIDTH_IN = 3.5
"""Width of one column of a two-column journal."""
PAGE_WIDTH_IN = 7.16
"""Text width of a two-column journal page."""

INK = "#24292f"
"""Text and axes."""
RULE = "#dfe3e8"
"""Grid lines."""
MUTED = "#6a737d"
"""Remarks and target lines."""
BACKGROUND = "#b9bfc6"
"""Lines that are there for comparison."""
PAPER = "#fdfdfe"
"""Light edges between the parts of a bar; near white, so that it is told from a white page."""

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#4d4d4d")
"""Okabe and Ito's colours for all kinds of colour vision, yellow left out (too pale on white)."""

DARK_PALETTE = ("#4fa8e0", "#f0793a", "#2fbf94", "#e09cc4", "#f0b640", "#8ccbf0", "#b5bac2")
"""The same hues, lighter, for a dark page."""

ACTIVITY_COLOURS = {
    "tx": PALETTE[1],
    "rx": PALETTE[5],
    "compute": PALETTE[2],
    "idle": "#a3a9b2",
    "base": "#6f7782",
}
PHASE_COLOURS = {
    "download": PALETTE[5],
    "compute": PALETTE[2],
    "upload": PALETTE[1],
    "wait": "#a3a9b2",
}
REASON_COLOURS = {
    "late": PALETTE[1],
    "surplus": PALETTE[5],
    "left": PALETTE[0],
    "battery empty": PALETTE[4],
    "server crashed": PALETTE[3],
    "dropped": PALETTE[2],
    "unfinished": "#a3a9b2",
    "abandoned": "#6f7782",
}

_DASHES: tuple[str | tuple[int, tuple[float, ...]], ...] = (
    "solid",
    (0, (5.0, 1.5)),
    (0, (5.0, 1.5, 1.2, 1.5)),
    (0, (1.2, 1.2)),
)
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")

RC: dict[str, object] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8.0,
    "axes.labelsize": 8.0,
    "axes.titlesize": 8.0,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "legend.fontsize": 7.0,
    "legend.frameon": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.linewidth": 0.7,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.major.size": 3.0,
    "ytick.major.size": 3.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.4,
    "lines.markersize": 3.6,
    "hatch.linewidth": 0.5,
    "figure.dpi": 100.0,
    "savefig.dpi": 240.0,
    "figure.constrained_layout.use": True,
    "svg.fonttype": "none",
    "svg.hashsalt": "airtune",
    "pdf.fonttype": 42,
    "axes.formatter.useoffset": False,
    "axes.unicode_minus": True,
    "axes.formatter.use_mathtext": False,
    "text.parse_math": False,  # nobody's words are formulas
    "text.usetex": False,
}
"""Settings of matplotlib, for a page; see :func:`analysis.canvas.figure_style`."""


@dataclass(frozen=True, slots=True)
class LineStyle:
    """How one variant is drawn, the same on every figure of a study."""

    label: str
    colour: str
    dash: str | tuple[int, tuple[float, ...]]
    marker: str
    is_background: bool = False
    """Whether it is a thin grey line behind the others, without markers."""


def variant_styles(labels: Mapping[str, str]) -> dict[str, LineStyle]:
    """Assign a style to each variant by its place in the scenario.

    Colour, dash and marker all change from one variant to the next, so lines are told apart in
    grey print as well; the pair of colour and dash repeats after 28 variants.

    Parameters
    ----------
    labels
        Variant name to label, in scenario order.
    """
    return {
        name: LineStyle(
            label=figure_text(label),
            colour=PALETTE[place % len(PALETTE)],
            dash=_DASHES[(place % len(PALETTE) + place // len(PALETTE)) % len(_DASHES)],
            marker=_MARKERS[place % len(_MARKERS)],
        )
        for place, (name, label) in enumerate(labels.items())
    }


def styles_of(
    names: Iterable[object], styles: Mapping[str, LineStyle] | None
) -> Mapping[str, LineStyle]:
    """Return the styles that are given, or those of names that are their own labels."""
    if styles is not None:
        return styles
    return variant_styles({name: name for name in dict.fromkeys(map(str, names))})


def with_background(styles: Mapping[str, LineStyle], num_named: int) -> dict[str, LineStyle]:
    """Put all styles beyond the first so many into the background, in grey."""
    return {
        name: style
        if place < num_named
        else LineStyle(style.label, BACKGROUND, "solid", "none", is_background=True)
        for place, (name, style) in enumerate(styles.items())
    }
