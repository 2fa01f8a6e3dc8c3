"""The Gantt chart against a run of three participations, written by hand."""

import dataclasses

import pandas as pd
import pytest
from matplotlib.figure import Figure

from analysis.canvas import figure_of, figure_style
from analysis.figures import draw_picture
from analysis.gantt import MAX_LANES, draw_gantt, gantt_frame, gantt_subjects
from analysis.picture import Subject

ADDRESS = {"variant": "fedit_r8", "seed": 1}


def transfer(participation_id, client_id, direction, *moments_s):
    asked_s, started_s, ended_s = moments_s
    return {**ADDRESS, "participation_id": participation_id, "client_id": client_id,
            "direction": direction, "size_bytes": 10, "requested_at_s": asked_s,
            "started_at_s": started_s, "finished_at_s": ended_s, "energy_j": 0.0,
            "status": "delivered"}  # fmt: skip


def client(participation_id, client_id, outcome, *, number=1, compute_j=6.0):
    return {**ADDRESS, "participation_id": participation_id, "round": number,
            "client_id": client_id, "outcome": outcome, "compute_j": compute_j}  # fmt: skip


def rounds(*ends_s):
    starts_s = [0.0, *ends_s[:-1]]
    return pd.DataFrame(
        {**ADDRESS, "round": number, "started_at_s": start, "finished_at_s": end}
        for number, (start, end) in enumerate(zip(starts_s, ends_s, strict=True), start=1)
    )


@pytest.fixture
def one_round(results):
    """Client 4 delivers at 6 s and waits until 10 s; 7 computes until 5 s and leaves."""
    return dataclasses.replace(
        results,
        clients=pd.DataFrame([client(0, 4, "received"), client(1, 7, "left:compute")]),
        transfers=pd.DataFrame(
            [
                transfer(0, 4, "downlink", 0.0, 1.0, 2.0),
                transfer(0, 4, "uplink", 4.0, 4.5, 6.0),
                transfer(1, 7, "downlink", 0.0, 1.0, 3.0),
            ]
        ),
        rounds=rounds(10.0),
        devices=results.devices.assign(compute_w=3.0),
    )


@pytest.fixture
def asynchronous(one_round):
    """A third participation begins before the round that it counts for, and takes 2 s."""
    more = [transfer(2, 4, "downlink", 8.0, 8.0, 9.0), transfer(2, 4, "uplink", 9.0, 9.0, 11.0)]
    return dataclasses.replace(
        one_round,
        clients=pd.concat([one_round.clients, pd.DataFrame([client(2, 4, "received", number=2)])]),
        transfers=pd.concat([one_round.transfers, pd.DataFrame(more)]),
        rounds=rounds(10.0, 20.0),
    )


def test_phases_of_a_round_are_those_of_the_rows(one_round):
    frame = gantt_frame(one_round)
    spans = list(frame[["client_id", "phase", "from_s", "to_s"]].itertuples(index=False, name=None))
    assert spans == [
        (4, "wait", 0.0, 1.0),
        (4, "download", 1.0, 2.0),
        (4, "compute", 2.0, 4.0),
        (4, "wait", 4.0, 4.5),
        (4, "upload", 4.5, 6.0),
        (7, "wait", 0.0, 1.0),
        (7, "download", 1.0, 3.0),
        (7, "compute", 3.0, 5.0),  # 6 J at 3 W
        (7, "cut", 5.0, 5.0),
        (4, "wait", 6.0, 10.0),
        (-1, "round", 10.0, 10.0),
    ]


def test_the_round_is_the_one_of_median_length(one_round):
    three = dataclasses.replace(one_round, rounds=rounds(10.0, 11.0, 13.0))
    assert gantt_frame(three).loc[lambda rows: rows["phase"] == "round", "round"].tolist() == [3]


def test_of_an_asynchronous_run_a_window_of_two_participations_is_shown(asynchronous):
    """Participations last 6, 5 and 3 s: the window is 10 s in the middle of 20."""
    frame = gantt_frame(asynchronous)
    assert frame["from_s"].min() == 5.0
    assert frame["to_s"].max() == 11.0
    assert set(frame[frame["client_id"] == 4]["phase"]) == {"download", "upload"}
    assert (frame["phase"] == "round").sum() == 1
    with figure_style():
        picture = draw_picture("gantt", asynchronous, Subject(), frame)
    assert picture.title == "A part of a run, client by client"


def test_lanes_phases_and_marks_are_drawn(one_round):
    ax = Figure().subplots()
    assert draw_gantt(gantt_frame(one_round), ax) is ax
    assert [label.get_text() for label in ax.get_yticklabels()] == ["7", "4"]
    widths = sorted(bar.get_width() for bar in ax.patches)
    assert widths == [0.5, 1.0, 1.0, 1.0, 1.5, 2.0, 2.0, 2.0, 4.0]
    words = [text.get_text() for text in ax.get_legend().get_texts()]
    assert words == ["download", "compute", "upload", "wait", "aggregation", "left"]


def test_of_many_clients_some_are_drawn_and_the_caption_says_so(one_round):
    count = 2 * MAX_LANES
    many = dataclasses.replace(
        one_round,
        clients=pd.DataFrame([client(i, i, "received", compute_j=0.0) for i in range(count)]),
        transfers=pd.DataFrame([transfer(i, i, "downlink", 0.0, 0.0, 1.0 + i / 100)
                                for i in range(count)]),
    )  # fmt: skip
    with figure_style("column"):
        picture = draw_picture("gantt", many, Subject())
        picture.figure.draw_without_rendering()
    (ax,) = picture.figure.axes
    shown = [int(label.get_text()) for label in ax.get_yticklabels()]
    assert len(shown) == MAX_LANES
    assert (shown[0], shown[-1]) == (0, count - 1)
    assert f"{count - MAX_LANES} of {count} clients are left out" in picture.caption


def test_without_ids_of_participations_there_is_no_chart(one_round):
    bare = one_round.transfers.drop(columns="participation_id")
    without = dataclasses.replace(one_round, transfers=bare)
    assert gantt_subjects(one_round)
    assert not gantt_subjects(without)
    assert draw_gantt(gantt_frame(without)).get_xlabel() == "simulated time [s]"


def test_a_participation_without_an_end_is_no_obstacle(one_round):
    transfers = one_round.transfers.assign(finished_at_s=float("nan"))
    frame = gantt_frame(dataclasses.replace(one_round, transfers=transfers))
    assert set(frame["phase"]) == {"round"}
    figure_of(draw_gantt(frame)).draw_without_rendering()
