"""Files without a bad cell are read in one go; the tables are those of reading cell by cell."""

import pandas as pd
import pytest

from analysis import rows
from analysis.errors import ResultError

COLUMNS = {"round": "int", "word": "text", "value": "float?", "more": "float"}


def _both(path, monkeypatch):
    """Return the table or error of the quick way, of the long one, and whether the first ended."""
    found = []
    taken = []

    def watched(text, columns):
        taken.append(clean(text, columns))
        return taken[-1]

    clean = rows._read_clean
    for way in (watched, lambda *_: None):
        monkeypatch.setattr(rows, "_read_clean", way)
        notes = []
        try:
            table = rows.read_rows(path, COLUMNS, is_done=False, notes=notes)
        except ResultError as error:
            table = str(error)
        found.append((table, notes))
    return *found, taken[0] is not None


@pytest.mark.parametrize(
    ("lines", "is_clean"),
    [
        (["1,a,0.1,2.5", "2,,,1e-3"], True),
        (["1,a,0.30000000000000004,2", "-5,NA,1e22,3"], True),
        (["1,nan,0.1,2"], False),
        (["1,a,nan,2"], False),
        (["1,a,inf,2"], False),
        (["1,a,1e300,2"], False),
        (["1,a,0.1,"], False),
        (["1,a,0.1,inf"], False),
        (["1.5,a,0.1,2"], False),
        (["1e30,a,0.1,2"], False),
        (["9007199254740993,a,0.1,2"], False),
        ([",a,0.1,2"], False),
        (["1,a,x,2"], False),
    ],
)
def test_both_ways_give_one_table_or_one_error(lines, is_clean, tmp_path, monkeypatch):
    path = tmp_path / "rounds.csv"
    path.write_text("\n".join(["round,word,value,more,extra", *(f"{x},7" for x in lines), ""]))
    (quick, its_notes), (long, notes), was_clean = _both(path, monkeypatch)
    assert was_clean == is_clean
    assert its_notes == notes
    if isinstance(long, str):
        assert quick == long
    else:
        pd.testing.assert_frame_equal(quick, long, check_exact=True)
