"""Who took part when, and by which links, against rows written by hand."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from analysis.canvas import figure_of, figure_style
from analysis.figures import draw_picture
from analysis.participation_map import (
    draw_links,
    draw_map,
    link_frame,
    link_subjects,
    map_frame,
    map_subjects,
)
from analysis.picture import Subject


def taken(variant, seed, *pairs, outcome="received"):
    return pd.DataFrame({"variant": variant, "seed": seed, "outcome": outcome,
                         "round": [pair[0] for pair in pairs],
                         "client_id": [pair[1] for pair in pairs]})  # fmt: skip


def uploads(variant, seed, sinr_of):
    return pd.DataFrame({"variant": variant, "seed": seed, "client_id": list(sinr_of),
                         "direction": "uplink", "status": "delivered", "size_bytes": 250_000,
                         "requested_at_s": 0.0,
                         "finished_at_s": [1.0 + client for client in sinr_of],
                         "mean_sinr_db": list(sinr_of.values())})  # fmt: skip


@pytest.fixture
def by_hand(results):
    """Ten clients whose SINR is their number; fedit takes the last five, local all once."""
    clients = [
        taken("fedit_r8", 1, *((number, client) for number in (1, 2) for client in range(5, 10))),
        taken("local", 1, *((1, client) for client in range(10))),
        taken("local", 1, (2, 0), outcome="late:uplink"),
    ]
    rounds = [
        {"variant": name, "seed": 1, "round": number, "started_at_s": 0.0, "finished_at_s": 1.0}
        for name in ("fedit_r8", "local")
        for number in (1, 2)
    ]
    transfers = [
        uploads("local", 1, {client: float(client) for client in range(10)}),
        uploads("fedit_r8", 1, {client: float(client) for client in range(5, 10)}),
    ]
    return dataclasses.replace(
        results,
        clients=pd.concat(clients, ignore_index=True),
        rounds=pd.DataFrame(rounds),
        transfers=pd.concat(transfers, ignore_index=True),
    )


def test_the_map_tells_merged_from_lost(by_hand):
    frame = map_frame(by_hand)
    own = frame[frame["variant"] == "local"]
    assert own["is_merged"].sum() == 10
    assert own[~own["is_merged"]][["client_id", "round"]].to_numpy().tolist() == [[0, 2]]
    ax = Figure().subplots()
    assert draw_map(own, ax) is ax
    (mesh,) = ax.collections
    cells = np.ma.filled(mesh.get_array().reshape(10, 2), np.nan)
    assert np.nansum(cells == 0.0) == 10
    assert cells[0].tolist() == [0.0, 1.0]  # client 0 took part twice: on top
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["merged", "not merged"]


def test_groups_of_clients_by_their_links(by_hand):
    frame = link_frame(by_hand)
    fedit = frame[frame["variant"] == "fedit_r8"]
    assert fedit["link_mean"].tolist() == [0.5, 2.5, 4.5, 6.5, 8.5]
    assert fedit["mean"].tolist() == [0.0, 0.0, 50.0, 100.0, 100.0]
    assert frame[frame["variant"] == "local"]["mean"].tolist() == [50.0] * 5
    assert (frame["n"] == 1).all()
    assert frame["half_width"].isna().all()
    assert set(frame["link"]) == {"mean_sinr_db"}


def test_without_an_sinr_the_rate_is_the_link(by_hand):
    """2 Mbit in 1 s to 10 s."""
    bare = by_hand.transfers.assign(mean_sinr_db=np.nan)
    frame = link_frame(dataclasses.replace(by_hand, transfers=bare))
    assert set(frame["link"]) == {"uplink_mbps"}
    assert frame["link_mean"].iloc[0] == pytest.approx((2 / 9 + 2 / 10) / 2)
    assert draw_links(frame).get_xlabel() == "mean upload rate [Mbit/s]"
    gone = by_hand.transfers.drop(columns="mean_sinr_db")
    pd.testing.assert_frame_equal(link_frame(dataclasses.replace(by_hand, transfers=gone)), frame)


def test_there_is_a_figure_where_variants_select_other_clients(results, by_hand):
    assert map_subjects(by_hand)
    assert link_subjects(by_hand)
    assert not map_subjects(results)
    one = by_hand.clients[by_hand.clients["variant"] == "local"]
    assert not map_subjects(dataclasses.replace(by_hand, clients=one))
    assert not link_subjects(dataclasses.replace(by_hand, transfers=by_hand.transfers.iloc[:0]))


@pytest.mark.parametrize("size", ["column", "slide"])
@pytest.mark.parametrize("kind", ["participation_map", "participation_links"])
def test_pictures_are_drawn(by_hand, kind, size):
    with figure_style(size):
        picture = draw_picture(kind, by_hand, Subject())
        picture.figure.draw_without_rendering()
    (legend,) = picture.figure.legends
    assert not any(legend.get_window_extent().overlaps(ax.bbox) for ax in picture.figure.axes)
    assert "no interval" in picture.caption


def test_nothing_is_drawn_of_nothing(results):
    none = dataclasses.replace(results, clients=results.clients.iloc[:0],
                               rounds=results.rounds.iloc[:0])  # fmt: skip
    for ax in (draw_map(map_frame(none)), draw_links(link_frame(none))):
        figure_of(ax).draw_without_rendering()
