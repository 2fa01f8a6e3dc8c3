"""Ladder step 26: a large world in little host time."""

from benchmarks.radio import _thousand_uploads


def test_a_thousand_uploads_among_ten_thousand_clients_in_57_cells(ladder):
    result = _thousand_uploads("round_robin")
    assert result["delivered"] == 1000
    ladder.below(
        26,
        "host time of 1,000 uploads of 1 MB, 57 cells, 10,000 clients",
        source="our target",
        measured=result["host_s"],
        limit=60.0,
        expected="few seconds",
        unit="s",
    )
