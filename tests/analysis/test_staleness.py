"""Staleness of merged updates against rows written by hand."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from analysis.canvas import figure_of, figure_style
from analysis.figures import draw_picture
from analysis.picture import Subject
from analysis.staleness import draw_staleness, staleness_frame, staleness_subjects


def updates(variant, seed, staleness, outcome="received"):
    return pd.DataFrame({"variant": variant, "seed": seed, "round": 1, "outcome": outcome,
                         "client_id": range(len(staleness)), "staleness": staleness})  # fmt: skip


@pytest.fixture
def by_hand(results):
    rows = [
        updates("fedit_r8", 1, [0, 0, 1, 3]),
        updates("fedit_r8", 2, [0, 0, 0, 1]),
        updates("fedit_r8", 2, [7], outcome="late:uplink"),
        updates("local", 1, [0, 0]),
    ]
    return dataclasses.replace(results, clients=pd.concat(rows, ignore_index=True))


def test_shares_are_means_over_seeds_of_merged_updates(by_hand):
    frame = staleness_frame(by_hand)
    own = frame[frame["variant"] == "fedit_r8"]
    assert own["staleness"].tolist() == [0, 1, 2, 3]
    assert own["mean"].tolist() == [0.625, 0.25, 0.0, 0.125]
    assert own["num_updates"].tolist() == [5, 2, 0, 1]
    assert (own["n"] == 2).all()
    assert own["half_width"].iloc[0] == pytest.approx(12.7062 * 0.125, rel=1e-4)
    assert frame[frame["variant"] == "local"]["mean"].tolist() == [1.0]


def test_only_variants_with_stale_updates_are_drawn(by_hand):
    with figure_style():
        picture = draw_picture("staleness", by_hand, Subject())
    (legend,) = picture.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["FedIT, rank 8"]
    assert "All updates are fresh in 1 of 2 variants" in picture.caption
    assert "range of two seeds" in picture.caption


def test_where_all_updates_are_fresh_there_is_no_figure(results, by_hand):
    assert staleness_subjects(by_hand)
    assert not staleness_subjects(results)
    assert not staleness_subjects(dataclasses.replace(results, clients=results.clients.iloc[:0]))


def test_whiskers_stay_between_none_and_all(by_hand):
    ax = draw_staleness(staleness_frame(by_hand))
    figure_of(ax).draw_without_rendering()
    ends = np.concatenate([np.concatenate(part.get_segments()) for part in ax.collections])
    assert ends[:, 1].min() >= -1e-9
    assert ends[:, 1].max() <= 100.0 + 1e-9
    assert ax.get_xlabel() == "staleness [aggregations]"


def test_nothing_is_drawn_of_nothing(results):
    frame = staleness_frame(dataclasses.replace(results, clients=results.clients.iloc[:0]))
    assert frame.empty
    figure_of(draw_staleness(frame)).draw_without_rendering()
