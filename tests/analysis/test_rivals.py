"""Who is compared with whom, in hand-made studies."""

from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from analysis.errors import ResultError
from analysis.manifest import Variant, setting_words
from analysis.rivals import rival_pairs

SCHEDULERS = ("round_robin", "max_ci", "proportional_fair")


def variant(method, **knobs):
    ends = "".join(f"--{knob}={value}" for knob, value in knobs.items())
    told = {knob.replace("__", "."): value for knob, value in knobs.items()}
    label = f"{method.upper()} ({setting_words(told)})" if told else method.upper()
    return Variant(name=f"{method}{ends}", label=label, method=method, knobs=told)


def study(*variants, absent=()):
    names = [each.name for each in variants if each.name not in absent]
    return SimpleNamespace(
        folder=Path("out"), variants=variants, runs=pd.DataFrame({"variant": names})
    )


def named(pairs):
    return [(first.name, second.name) for first, second in pairs]


SWEEP = study(*(variant("fedit", radio__scheduler=each) for each in SCHEDULERS))
GRID = study(
    *(
        variant(method, radio__scheduler=each, alpha=alpha)
        for method in ("fedit", "fedtt")
        for each in SCHEDULERS[:2]
        for alpha in (0.1, 1.0)
    )
)


def test_methods_are_compared_in_each_setting_alone():
    pairs = rival_pairs(GRID, by=None, baseline=None)
    assert len(pairs) == 4
    for first, second in pairs:
        assert (first.method, second.method) == ("fedit", "fedtt")
        assert first.knobs == second.knobs
    assert [second.method for _, second in rival_pairs(GRID, by=None, baseline="FEDIT")] == [
        "fedit"
    ] * 4


@pytest.mark.parametrize("by", ["radio.scheduler", "scheduler"])
def test_a_knob_is_compared_with_all_else_the_same(by):
    pairs = rival_pairs(GRID, by=by, baseline="max_ci")
    assert len(pairs) == 4
    for first, second in pairs:
        assert first.method == second.method
        assert first.knobs["alpha"] == second.knobs["alpha"]
        assert (first.knobs["radio.scheduler"], second.knobs["radio.scheduler"]) == SCHEDULERS[:2]


def test_a_value_of_a_knob_says_which_knob_is_meant():
    pairs = rival_pairs(GRID, by=None, baseline="1.0")
    assert len(pairs) == 4
    assert all(second.knobs["alpha"] == 1.0 for _, second in pairs)


def test_a_sweep_of_one_method_is_compared_by_its_knob():
    assert len(rival_pairs(SWEEP, by=None, baseline=None)) == 3
    assert named(rival_pairs(SWEEP, by=None, baseline="max_ci")) == [
        (f"fedit--radio__scheduler={each}", "fedit--radio__scheduler=max_ci")
        for each in ("round_robin", "proportional_fair")
    ]


def test_the_name_of_one_variant_compares_all_with_it():
    name = GRID.variants[3].name
    pairs = rival_pairs(GRID, by=None, baseline=name)
    assert len(pairs) == len(GRID.variants) - 1
    assert {second.name for _, second in pairs} == {name}


def test_variants_without_results_are_left_out():
    few = study(*GRID.variants, absent={GRID.variants[0].name})
    assert len(rival_pairs(few, by=None, baseline=None)) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"by": "radio", "baseline": None}, "--by: must be one of method, radio.scheduler, alpha"),
        ({"by": "alpha", "baseline": "2"}, "--baseline: must be one of 0.1, 1.0, got '2'"),
        ({"by": None, "baseline": "x"}, "--baseline: must be one of fedit, fedtt, round_robin"),
    ],
)
def test_what_is_not_there_is_one_line(arguments, message):
    with pytest.raises(ResultError, match=message):
        rival_pairs(GRID, **arguments)


def test_one_variant_has_no_rival():
    with pytest.raises(ResultError, match="nothing to compare: only fedit has results"):
        rival_pairs(study(variant("fedit")), by=None, baseline=None)


def test_a_setting_is_in_words_with_units_in_the_order_of_the_scenario():
    knobs = {"case": "urban", "radio.bandwidth_hz": 1e7, "clients.count": 40}
    variant = Variant(name="x", label="FedIT", method="fedit", knobs=knobs)
    assert variant.setting == "urban, bandwidth 10 MHz, count 40"
