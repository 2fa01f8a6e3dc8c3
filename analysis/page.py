"""The page of a report: one HTML file that asks nothing of any other file or host."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path

from analysis.figures import SavedFigure
from analysis.load import Results
from analysis.outlets import LEFT_HEADS, PROSE_HEADS
from analysis.replay import replay_section
from analysis.style import DARK_PALETTE, INK, MUTED, PALETTE, PAPER, RULE
from analysis.tables import Table, target_name
from analysis.text_safety import html_text
from analysis.totals import TIMING_ONLY
from analysis.units import axis_label

TWO_CLOCKS = (
    "Two clocks. Simulated time and energy are those of the radio network and the devices in the "
    "scenario. Host time is what the machine took that ran the study; it says nothing about either."
)

_THEMED = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    RULE: "var(--rule)",
    PAPER: "var(--page)",
    **{colour: f"var(--series-{place})" for place, colour in enumerate(PALETTE)},
}
"""Colours of the figures that follow the page's light or dark theme."""

_PROVENANCE = (
    "commit",
    "machine",
    "model",
    "model_origin",
    "rewards",
    "data_digest",
    "versions",
)
"""Manifest entries shown first; all the rest follow, but for those shown elsewhere."""
_MANY = 6
"""Entries from which a mapping is written as running text."""
_ELSEWHERE = {
    "name",
    "variants",
    "runs",
    "seeds",
    "targets",
    "target_split",
    "status",
    "cost_label",
    "timing_only",
}


def render_page(results: Results, tables: Sequence[Table], figures: Sequence[SavedFigure]) -> str:
    """Return the page as HTML text; figures are read from their SVG files and put inside."""
    shown = [figure for figure in figures if figure.in_report]
    *main, runs = tables
    body = [
        _header(results),
        _notes(results),
        *(_table(table) for table in main),
        replay_section(results),
        *(_figure(figure, number) for number, figure in enumerate(shown, start=1)),
        "<section><h2>How this was made</h2>",
        f"<p>{html_text(TWO_CLOCKS)}</p>",
        _table(runs, level=3),
        _provenance(results),
        _scenario(results.folder / "scenario.yaml"),
        _files(figures, tables),
        "</section>",
    ]
    page = resources.files("analysis").joinpath("page.html").read_text(encoding="utf-8")
    parts = {
        "title": html_text(f"{results.name} · Airtune report"),
        "palette": _palette_css(PALETTE),
        "dark_palette": _palette_css(DARK_PALETTE),
        "body": "\n".join(part for part in body if part),
    }
    # in one pass: what is put in is not searched for places again
    return re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], page)


def _palette_css(palette: Iterable[str]) -> str:
    return " ".join(f"--series-{place}: {colour};" for place, colour in enumerate(palette))


def _header(results: Results) -> str:
    status = results.manifest.status
    seeds = [str(seed) for seed in results.manifest.seeds]
    facts = [
        TIMING_ONLY if results.is_timing_only else "",
        _count(len(results.variants), "variant"),
        f"{_count(len(seeds), 'seed')} ({', '.join(seeds)})" if seeds else "",
        *(f"target {target_name(m, t)}{_of_split(results)}" for m, t in results.targets.items()),
    ]
    label = results.cost_label
    lead = " · ".join(html_text(fact) for fact in facts if fact)
    cost = f'<p class="label">Costs {html_text(label)}</p>' if label else ""
    badge = f'<span class="status status-{html_text(status)}">{html_text(status)}</span>'
    return (
        f'<header><p class="kicker">Airtune report</p><h1>{html_text(results.name)}</h1>'
        f'<p class="lead">{lead} {badge}</p>{cost}</header>'
    )


def _of_split(results: Results) -> str:
    split = results.manifest.data.get("target_split")
    return f" ({split})" if split else ""


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _notes(results: Results) -> str:
    if not results.notes:
        return ""
    items = "".join(f"<li>{html_text(note)}</li>" for note in results.notes)
    return f'<aside class="notes"><p>Not everything is here:</p><ul>{items}</ul></aside>'


def _table(table: Table, *, level: int = 2) -> str:
    heads = list(table.text.columns)
    align = [_side(head) for head in heads]
    head = "".join(
        f'<th scope="col" class="{side}">{html_text(text)}</th>'
        for side, text in zip(align, heads, strict=True)
    )
    rows = "".join(
        "<tr>" + "".join(_cell(str(c), s) for c, s in zip(row, align, strict=True)) + "</tr>"
        for row in table.text.to_numpy()
    )
    notes = "".join(f"<p>{_prose(note)}</p>" for note in table.notes)
    return (
        f"<section><h{level}>{html_text(table.title)}</h{level}>"
        f"{_scrolled(table.title)}"
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        f'</div><div class="remarks">{notes}</div></section>'
    )


def _scrolled(title: str) -> str:
    """Begin a part that scrolls by itself where the page is narrow; the keyboard reaches it."""
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{html_text(title)}">'


def _side(head: str) -> str:
    """Return the classes of a column's cells by its head."""
    if head in PROSE_HEADS:
        return "left prose"
    return "left" if head in LEFT_HEADS else "right"


def _prose(text: str) -> str:
    """Keep signs and the numbers after them on one line."""
    return re.sub("([≥≤±]) ", "\\1&nbsp;", html_text(text))


def _cell(text: str, side: str) -> str:
    kind = f"{side} missing" if text in {"not reached", "-"} else side
    return f'<td class="{kind}">{html_text(text)}</td>'


def _figure(figure: SavedFigure, number: int) -> str:
    wide = inline_svg(figure.wide, prefix=f"f{number}-")
    narrow = inline_svg(figure.narrow, prefix=f"n{number}-")
    title = html_text(figure.title)
    return (
        f'<section><h2>{title}</h2><figure aria-labelledby="c{number}">'
        f'<div class="wide" role="img" aria-label="{title}">{wide}</div>'
        f'<div class="narrow" role="img" aria-label="{title}">{narrow}</div>'
        f'<figcaption id="c{number}"><b>Figure {number}.</b> {_prose(figure.caption)}</figcaption>'
        "</figure></section>"
    )


def inline_svg(text: str, *, prefix: str) -> str:
    """Make an SVG file fit for use inside a page.

    The XML head goes, ids get a prefix so that several figures can stand in one page, the paper
    becomes transparent and the colours follow the theme of the page.
    """
    svg = text[text.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    return re.sub(r"<[^<>]*>", lambda tag: _inline_tag(tag[0], prefix), svg)


def _inline_tag(tag: str, prefix: str) -> str:
    """Change one tag; the text between tags is somebody's words and stays as it is."""
    tag = re.sub(r'\bid="', f'id="{prefix}', tag)
    tag = re.sub(r'href="#', f'href="#{prefix}', tag)
    tag = tag.replace("url(#", f"url(#{prefix}").replace("fill: #ffffff", "fill: none")
    for colour, variable in _THEMED.items():
        tag = tag.replace(colour, variable)
    return tag


def _provenance(results: Results) -> str:
    manifest = results.manifest.data
    order = [key for key in _PROVENANCE if key in manifest]
    order += [key for key in manifest if key not in order and key not in _ELSEWHERE]
    rows = "".join(
        f"<dt>{html_text(axis_label(key))}</dt><dd>{_value(manifest[key])}</dd>"
        for key in order
        if manifest[key] not in (None, "", {}, [])
    )
    return f"<section><h3>Provenance</h3><dl>{rows}</dl></section>" if rows else ""


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        parts = [
            html_text(f"{axis_label(key)} {_plain(item)}")
            for key, item in value.items()
            if item is not None
        ]
        return ", ".join(parts) if len(parts) > _MANY else "<br>".join(parts)
    return html_text(_plain(value))


def _plain(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(_plain(item) for item in value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _scenario(path: Path) -> str:
    if not path.is_file():
        return ""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    text = "\n".join(html_text(line) for line in lines)
    return f"<details><summary>Resolved scenario</summary><pre>{text}</pre></details>"


def _files(figures: Sequence[SavedFigure], tables: Sequence[Table]) -> str:
    items = [
        f"<li>{html_text(figure.title)}: {_link(figure.png, 'PNG')}, {_link(figure.svg, 'SVG')}, "
        f"{'' if figure.pdf is None else _link(figure.pdf, 'PDF') + ', '}"
        f"{_link(figure.csv, 'data')}</li>"
        for figure in figures
    ]
    items += [
        f"<li>{html_text(table.title)}: "
        + ", ".join(
            f'<a href="tables/{html_text(table.name)}.{ending}">{word}</a>'
            for ending, word in (("csv", "CSV"), ("md", "Markdown"), ("tex", "LaTeX"))
        )
        + "</li>"
        for table in tables
    ]
    return (
        "<details><summary>Files of every figure and table</summary>"
        f"<ul>{''.join(items)}</ul></details>"
    )


def _link(path: Path, word: str) -> str:
    return f'<a href="figures/{html_text(path.name)}">{word}</a>'
