"""Tables written for every outlet: CSV, Markdown, LaTeX and the terminal."""

import textwrap
from collections.abc import Sequence
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
    safe = frame.rename(columns=lambda name: csv_text(str(name)))
    for place, name in enumerate(safe.columns):
        column = safe.iloc[:, place]
        if not pd.api.types.is_numeric_dtype(column.dtype):
            texts = [csv_text(cell) if isinstance(cell, str) else cell for cell in column]
            safe[name] = pd.Series(texts, index=safe.index, dtype=object)
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        safe.to_csv(file, index=False, lineterminator="\n")


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
    """A table that turns on its side where the terminal is too narrow for it and that helps."""

    table: Table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield title, table and notes; called by rich when it prints this."""
        heads = list(self.table.text.columns)
        rows = [[str(cell) for cell in row] for row in self.table.text.to_numpy()]
        upright = _grid(heads, rows, left=_left_columns(heads))
        turned = _grid(
            [heads[0], *(row[0] for row in rows)],
            [[head, *(row[i] for row in rows)] for i, head in enumerate(heads) if i],
            left={heads[0]},
        )
        wide = options.update(width=10_000)
        widths = [console.measure(grid, options=wide).maximum for grid in (upright, turned)]
        # too wide both ways, the narrower one has to break fewer words
        stays = widths[0] <= max(options.max_width, widths[1])
        yield Text(visible(self.table.title), style="bold")
        yield upright if stays else turned
        for note in self.table.notes:
            yield Text(visible(note), style="dim")


def _grid(heads: Sequence[str], rows: Sequence[Sequence[str]], *, left: set[str]) -> RichTable:
    grid = RichTable(box=SIMPLE_HEAD, pad_edge=False)
    for head in heads:
        words = "\n".join(textwrap.wrap(visible(head), _HEAD_WIDTH, break_long_words=False))
        side: Literal["left", "right"] = "left" if head in left else "right"
        grid.add_column(Text(words, overflow="fold"), justify=side, overflow="fold")
    for row in rows:
        grid.add_row(*(Text(visible(cell)) for cell in row))
    return grid
