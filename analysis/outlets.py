"""Tables written for every outlet: CSV, Markdown, LaTeX and the terminal."""

import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table as RichTable
from rich.text import Text

from analysis.tables import Table
from analysis.text_safety import csv_text, latex_comment, latex_text, markdown_text, visible

PROSE_HEADS = frozenset({"prompt", "before", "after"})
"""Heads of columns that hold whole sentences, which may break into lines."""
LEFT_HEADS = PROSE_HEADS | frozenset(
    {
        "variant",
        "model",
        "status",
        "cost",
        "first",
        "second",
        "minus",
        "verdict",
        "setting",
        "order",
        "energy of",
    }
)
"""Heads of columns that hold text; the others hold numbers and are set to the right."""

_HEAD_WIDTH = 12
"""Characters of a column head before it goes on below."""


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a data frame as CSV; text that a spreadsheet would take for a formula is quoted."""
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        file.write(csv_lines(frame))


def csv_lines(frame: pd.DataFrame) -> str:
    """Return a data frame as CSV; text that a spreadsheet would take for a formula is quoted."""
    safe = frame.rename(columns=lambda name: csv_text(str(name)))
    for place, name in enumerate(safe.columns):
        column = safe.iloc[:, place]
        if not pd.api.types.is_numeric_dtype(column.dtype):
            texts = [csv_text(cell) if isinstance(cell, str) else cell for cell in column]
            safe[name] = pd.Series(texts, index=safe.index, dtype=object)
    text: str = safe.to_csv(index=False, lineterminator="\n")
    return text


def to_markdown(table: Table) -> str:
    """Write as a Markdown table: text columns left, numbers right."""
    heads = list(table.text.columns)
    left = _left_columns(heads)
    rows = [
        [markdown_text(head) for head in heads],
        [":---" if head in left else "---:" for head in heads],
        *([markdown_text(str(cell)) for cell in row] for row in table.text.to_numpy()),
    ]
    return (
        "\n".join(
            [
                *(f"| {' | '.join(row)} |" for row in rows),
                "",
                *(markdown_text(note) for note in table.notes),
            ]
        )
        + "\n"
    )


def _left_columns(heads: Sequence[str]) -> set[str]:
    return {head for head in heads if head in LEFT_HEADS}


def to_latex(table: Table) -> str:
    r"""Write as a ``tabular`` with the rules of the package booktabs.

    The notes follow as LaTeX comments, for use in the caption.
    """
    heads = list(table.text.columns)
    left = _left_columns(heads)
    body = [[str(cell) for cell in row] for row in table.text.to_numpy()]
    head_row, *rows = (
        " & ".join(latex_text(cell) for cell in row) + r" \\" for row in [heads, *body]
    )
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{tabular}{" + "".join("l" if head in left else "r" for head in heads) + "}",
        r"\toprule",
        head_row,
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}",
        *(f"% {latex_comment(note)}" for note in table.notes),
    ]
    return "\n".join(lines) + "\n"


def rich_table(table: Table) -> "TerminalTable":
    """Return the table for a terminal, notes below it."""
    return TerminalTable(table)


@dataclass(frozen=True, slots=True)
class TerminalTable:
    """A table for a terminal that may be too narrow for it: then it turns on its side.

    Where that is too wide as well, its columns follow below, the first one again before them: words
    are broken only where one of them beside the first column has no room.
    """

    table: Table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield title, table and notes; called by rich when it prints this."""
        heads = list(self.table.text.columns)
        rows = [[str(cell) for cell in row] for row in self.table.text.to_numpy()]
        left = _left_columns(heads)
        turned_heads = [heads[0], *(row[0] for row in rows)]
        turned_rows = [[head, *(row[i] for row in rows)] for i, head in enumerate(heads) if i]
        wide = options.update(width=10_000)

        def fits(grid: RichTable) -> bool:
            return console.measure(grid, options=wide).maximum <= options.max_width

        yield Text(visible(self.table.title), style="bold")
        upright = _grid(heads, rows, left=left)
        turned = _grid(turned_heads, turned_rows, left={heads[0]})
        if fits(upright) or not fits(turned):
            yield from _parted(heads, rows, left=left, fits=fits)
        else:
            yield turned
        for note in self.table.notes:
            yield Text(visible(note), style="dim")


def _parted(
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    left: set[str],
    fits: Callable[[RichTable], bool],
) -> Iterator[RichTable]:
    """Yield grids with as many columns as fit, the first column in front of each."""

    def grid(places: Sequence[int]) -> RichTable:
        return _grid(
            [heads[place] for place in places],
            [[row[place] for place in places] for row in rows],
            left=left,
        )

    part = [0]
    for place in range(1, len(heads)):
        if len(part) > 1 and not fits(grid([*part, place])):
            yield grid(part)
            part = [0]
        part.append(place)
    yield grid(part)


def _grid(heads: Sequence[str], rows: Sequence[Sequence[str]], *, left: set[str]) -> RichTable:
    grid = RichTable(box=SIMPLE_HEAD, pad_edge=False)
    for head in heads:
        words = "\n".join(textwrap.wrap(visible(head), _HEAD_WIDTH, break_long_words=False))
        side: Literal["left", "right"] = "left" if head in left else "right"
        grid.add_column(Text(words, overflow="fold"), justify=side, overflow="fold")
    for row in rows:
        grid.add_row(*(Text(visible(cell)) for cell in row))
    return grid
