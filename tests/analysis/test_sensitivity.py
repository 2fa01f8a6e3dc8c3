"""Lines over a number that a study varies, against means written by hand."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from analysis.canvas import figure_of, figure_style
from analysis.figures import draw_picture
from analysis.manifest import Variant
from analysis.sensitivity import (
    draw_sensitivity,
    numeric_knobs,
    sensitivity_frame,
    sensitivity_subjects,
)

KNOB = "radio.bandwidth_hz"


def study(results, variants, means):
    """Seeds 1 and 2 end 0.1 below and above the mean."""
    rows = [
        {"variant": name, "seed": seed, "round": 1, "metric": "accuracy", "split": "personal",
         "mean": mean + 0.1 * (2 * seed - 3)}
        for name, mean in means.items() for seed in (1, 2)
    ]  # fmt: skip
    runs = pd.DataFrame({"variant": list(means), "is_used": True}).merge(
        pd.DataFrame({"seed": [1, 2]}), how="cross"
    )
    manifest = dataclasses.replace(results.manifest, variants=tuple(variants))
    rows = pd.DataFrame(rows)
    return dataclasses.replace(results, manifest=manifest, evaluations=rows, runs=runs)


@pytest.fixture
def by_hand(results):
    """Two methods at three bandwidths, out of order."""
    variants = [
        Variant(name=f"{kind}{hz:g}", label=f"{kind} (bandwidth)", method=kind, knobs={KNOB: hz})
        for kind in ("FedIT", "FedTT") for hz in (20e6, 5e6, 10e6)
    ]  # fmt: skip
    means = {each.name: 0.3 + each.knobs[KNOB] / 1e8 for each in variants}
    return study(results, variants, means)


def test_one_line_a_method_with_rising_values(by_hand):
    frame = sensitivity_frame(by_hand, knob=KNOB, metric="accuracy")
    assert frame["line"].tolist() == ["FedIT"] * 3 + ["FedTT"] * 3
    assert frame["value"].tolist() == [5e6, 10e6, 20e6] * 2
    assert frame["mean"].tolist() == pytest.approx([0.35, 0.4, 0.5] * 2)
    assert (frame["n"] == 2).all()
    assert frame["half_width"].iloc[0] == pytest.approx(12.7062 * 0.1, rel=1e-4)


def test_a_line_shares_all_other_knobs(results):
    variants = [
        Variant(name=f"v{alpha}{rank}", label="FedIT (x)", method="fedit",
                knobs={"data.partition.alpha": alpha, "rank": rank})
        for alpha in (0.1, 0.5, 1) for rank in (4, 8)
    ]  # fmt: skip
    own = study(results, variants, {each.name: 0.5 for each in variants})
    assert numeric_knobs(own) == ["data.partition.alpha"]
    frame = sensitivity_frame(own, knob="data.partition.alpha", metric="accuracy")
    assert list(dict.fromkeys(frame["line"])) == ["FedIT, rank 4", "FedIT, rank 8"]


@pytest.mark.parametrize("values", [[1, 2], ["a", "b", "c"], [1, 2, True], [1, 2, None]])
def test_knobs_that_make_no_line(results, values):
    variants = [Variant(name=f"v{place}", label="v", method="m", knobs={"k": value})
                for place, value in enumerate(values)]  # fmt: skip
    own = study(results, variants, {each.name: 0.5 for each in variants})
    assert numeric_knobs(own) == []
    assert not sensitivity_subjects(own)


def test_far_values_stand_on_a_logarithmic_axis_with_their_unit(by_hand):
    frame = sensitivity_frame(by_hand, knob=KNOB, metric="accuracy")
    ax = draw_sensitivity(frame, metric="accuracy")
    assert (ax.get_xscale(), ax.get_xlabel()) == ("linear", "bandwidth [MHz]")
    far = frame.assign(value=frame["value"].replace(20e6, 1e9))
    ax = draw_sensitivity(far, metric="accuracy")
    figure_of(ax).draw_without_rendering()
    assert ax.get_xscale() == "log"
    shown = [label.get_text() for label in ax.get_xticklabels()]
    assert shown == ["0.005", "0.01", "1"]


def test_the_picture_names_interval_and_knob(by_hand):
    with figure_style("column"):
        picture = draw_picture("sensitivity", by_hand, sensitivity_subjects(by_hand)[0])
        picture.figure.draw_without_rendering()
    assert "against the value of bandwidth" in picture.caption
    assert "range of two seeds" in picture.caption
    words = [text.get_text() for text in picture.figure.legends[0].get_texts()]
    assert words == ["FedIT", "FedTT"]


def test_unknown_metrics_are_left_out(by_hand):
    unknown = dataclasses.replace(by_hand, evaluations=by_hand.evaluations.assign(mean=np.nan))
    assert not sensitivity_subjects(unknown)
    frame = sensitivity_frame(unknown, knob=KNOB, metric="accuracy")
    assert frame.empty
    figure_of(draw_sensitivity(frame, metric="accuracy")).draw_without_rendering()
