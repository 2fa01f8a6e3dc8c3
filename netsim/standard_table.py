"""Reading of the tables from standards that lie as csv files beside the modules.

A file opens with ``#`` lines that name its source, then a header row, then the rows.
"""

import csv
from pathlib import Path

HERE = Path(__file__).parent


def read_standard_table(name: str, *, folder: Path = HERE) -> list[dict[str, str]]:
    """Give the rows of the table ``<folder>/<name>.csv`` as text, keyed by column."""
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))
