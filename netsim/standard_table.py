"""Reader of the csv files with tables of standards that lie beside their modules.

A file starts with ``#`` lines that name its source, followed by a header row and the rows.
"""

import csv
from pathlib import Path


def read_standard_table(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table as text, keyed by column."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))
