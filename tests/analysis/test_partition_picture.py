"""The picture of who holds which texts, from one client and class to more than are drawn."""

import dataclasses

import pandas as pd
import pytest
from matplotlib.figure import Figure

from analysis.canvas import figure_of, figure_style
from analysis.figures import draw_picture
from analysis.partition_picture import (
    MOST_CLASSES,
    MOST_CLIENTS,
    draw_partition,
    partition_frame,
    partition_subjects,
)
from analysis.picture import Subject


def held(variant, counts, seed=1):
    """``counts`` maps client and class to training texts."""
    return pd.DataFrame(
        {"variant": variant, "seed": seed, "client_id": client, "class_name": name,
         "num_train": num, "num_test": 1}
        for (client, name), num in counts.items()
    )  # fmt: skip


def with_classes(results, *parts):
    return dataclasses.replace(results, classes=pd.concat(parts, ignore_index=True))


def test_equal_partitions_are_told_once_and_the_first_seed_counts(results):
    one, other = {(0, "a"): 5, (1, "b"): 10}, {(0, "a"): 9, (1, "a"): 1}
    own = with_classes(results, held("local", one), held("local", other, seed=2),
                       held("fedit_r8", one), held("fedtt_r5", other))  # fmt: skip
    frame = partition_frame(own)
    assert frame["variant"].tolist() == ["local", "local", "fedtt_r5", "fedtt_r5"]
    assert frame["num_train"].tolist() == [5, 10, 9, 1]


def test_the_area_of_a_circle_is_the_number_of_texts(results):
    own = with_classes(results, held("local", {(0, "b"): 5, (3, "a"): 20}))
    ax = Figure().subplots()
    assert draw_partition(partition_frame(own), ax) is ax
    (circles,) = ax.collections
    assert circles.get_offsets().tolist() == [[0.0, 1.0], [1.0, 0.0]]
    first, second = circles.get_sizes()
    assert second / first == pytest.approx(4.0)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]


def test_of_very_many_some_are_drawn_and_the_caption_says_so(results):
    counts = {
        (client, f"class {label:03} of a name much too long"): 1 + label
        for client in range(MOST_CLIENTS + 5)
        for label in range(MOST_CLASSES + 2)
    }
    own = with_classes(results, held("local", counts))
    with figure_style("column"):
        picture = draw_picture("partition", own, Subject())
        picture.figure.draw_without_rendering()
    (ax,) = picture.figure.axes
    assert len(ax.get_yticks()) == MOST_CLASSES
    assert "5 of 45 clients are left out" in picture.caption
    assert "Classes with fewer texts, in the data alone: 2." in picture.caption
    assert len(picture.data) == len(counts)
    left = min(label.get_window_extent().x0 for label in ax.get_yticklabels())
    assert left >= 0.0


def test_one_class_or_one_client_has_no_figure(results):
    assert partition_subjects(results)
    assert not partition_subjects(with_classes(results, held("local", {(0, "a"): 1, (1, "a"): 1})))
    assert not partition_subjects(with_classes(results, held("local", {(0, "a"): 1, (0, "b"): 1})))
    none = dataclasses.replace(results, classes=results.classes.iloc[:0])
    assert not partition_subjects(none)
    figure_of(draw_partition(partition_frame(none))).draw_without_rendering()
