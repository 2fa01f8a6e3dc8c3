"""EARTH power model (step 18 of the ladder)."""

import pytest

from netsim.energy.site_energy import find_problems, most_cell_w, site_power

ANCHORS = [
    ("macro", 3, 1344.0),
    ("rrh", 3, 840.0),
    ("micro", 1, 144.76),
    ("pico", 1, 14.64),
    ("femto", 1, 10.4),
]


@pytest.mark.parametrize(("site_class", "num_cells", "full_load_w"), ANCHORS)
def test_full_load(ladder, site_class, num_cells, full_load_w):
    power = site_power(site_class, num_cells=num_cells)
    drawn_w = power.awake_w + power.radiation_w(power.max_radiated_w)
    ladder.near(
        18,
        "power of a site at full load, five classes",
        source="EARTH: Auer et al. 2011, Table II",
        measured=drawn_w,
        expected=full_load_w,
        tolerance=1e-9,
        unit="W",
    )


def test_sleep_after_a_quiet_time():
    power = site_power("macro", num_cells=3, sleep_after_s=2.0)
    assert power.quiet_energy_j(5.0) == pytest.approx(2 * 780 + 3 * 450)
    assert site_power("macro", num_cells=3).quiet_energy_j(5.0) == pytest.approx(5 * 780)


def test_a_site_of_one_sector_has_two_transceivers():
    one, three = (site_power("macro", num_cells=num) for num in (1, 3))
    assert (one.num_transceivers, three.num_transceivers) == (2, 6)
    assert one.max_radiated_w == 40.0
    assert one.radiation_w(10.0) == pytest.approx(47.0)  # slope 4.7
    assert site_power("micro", num_cells=2).num_transceivers == 4


def test_a_site_may_sleep_at_once():
    power = site_power("macro", num_cells=3, sleep_after_s=0.0)
    assert power.quiet_energy_j(5.0) == pytest.approx(5 * 450)


def test_hardware_may_radiate_all_it_can_up_to_rounding():
    limit_w = site_power("micro", num_cells=1).max_radiated_w
    assert limit_w == pytest.approx(12.6)
    path = ("radio",)
    for scale in (1.0, 5.0):
        most_w = scale * limit_w
        assert most_cell_w("micro", scale=scale) == most_w
        for excess, is_refused in ((0.0, False), (9e-7, False), (2e-6, True)):
            cell_w = most_w * (1 + excess)
            found = find_problems("micro", cell_power_w=cell_w, scale=scale, path=path)
            assert bool(found) == is_refused


def test_hardware_that_cannot_radiate_the_power_is_a_problem():
    path = ("radio", "energy", "site_class")
    assert find_problems("macro", cell_power_w=40.0, scale=1.0, path=path) == []
    (problem,) = find_problems("micro", cell_power_w=40.0, scale=1.0, path=path)
    assert problem.path == path
    assert "at most 12.6 W a cell" in problem.message


@pytest.mark.parametrize(
    ("setting", "match"),
    [
        ({"site_class": "giga", "num_cells": 1}, "must be one of macro"),
        ({"site_class": "macro", "num_cells": 0}, "num_cells: must be >= 1"),
        ({"site_class": "macro", "num_cells": 1, "sleep_after_s": -1.0}, "sleep_after_s: must be"),
    ],
)
def test_bad_settings_are_named(setting, match):
    with pytest.raises(ValueError, match=match):
        site_power(**setting)
