import dataclasses
import itertools
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.canvas import figure_style
from analysis.figures import FIGURES, all_pictures, draw_picture, save_picture
from analysis.load import load_results
from analysis.log_axis import plain_power, use_log_x
from analysis.picture import Subject, add_legend
from analysis.plots import draw_curves
from analysis.series import (
    cdf_frame,
    curve_frame,
    energy_frame,
    latency_frame,
    target_frame,
    transfer_durations,
)
from analysis.stacks import draw_shares, draw_stack
from analysis.stats import COSTS
from analysis.style import BACKGROUND, PALETTE, variant_styles
from tests.analysis.synthetic import METHODS, write_results

GLOBAL_AGAINST_SECONDS = Subject(metric="accuracy", split="global", cost=COSTS["seconds"])


@pytest.fixture(scope="module")
def pictures(results):
    with figure_style():
        return {picture.name: picture for picture in all_pictures(results)}


def test_every_kind_of_figure_is_made(pictures):
    assert set(pictures) == {
        *(f"accuracy_{split}" for split in ("global", "personal")),
        *(f"accuracy_{s}_vs_{cost}" for s in ("global", "personal") for cost in COSTS),
        "to_accuracy_0.8",
        "pareto_accuracy",
        "fairness_accuracy",
        "participation_accuracy",
        "energy_breakdown",
        "waste",
        "round_breakdown",
        "duration_cdf",
        "gantt",
        "partition",
    }


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A study with more variants than curves can be told apart."""
    methods = [
        dataclasses.replace(METHODS[1], name=f"m{i}", label=f"m{i % 7} (rank = {i // 7})")
        for i in range(14)
    ]
    folder = write_results(tmp_path_factory.mktemp("large"), methods=methods, num_rounds=2)
    return load_results(folder)


@pytest.fixture(scope="module")
def studies(request):
    names = ("results", "large", "in_cases", "rewarded", "timing", "private", "finetuned")
    found = [request.getfixturevalue(name) for name in names]
    return [*found, stale_and_selective(found[0]), with_a_number(found[0])]


def with_a_number(study):
    """Its variants differ in a rank."""
    variants = [
        dataclasses.replace(variant, knobs={"rank": 2**place})
        for place, variant in enumerate(study.variants)
    ]
    manifest = dataclasses.replace(study.manifest, variants=tuple(variants))
    return dataclasses.replace(study, manifest=manifest)


def stale_and_selective(study):
    """Every third update is stale; in one variant half the clients never take part."""
    rows = study.clients.assign(staleness=np.arange(len(study.clients)) % 3 // 2)
    is_left = (rows["variant"] == "fedtt_r5") & (rows["client_id"] % 2 == 0)
    return dataclasses.replace(study, clients=rows[~is_left])


def test_there_are_kinds_of_figures():
    assert len(FIGURES) >= 7


@pytest.mark.parametrize("kind", FIGURES)
def test_every_kind_is_drawn_from_its_own_frame_where_its_needs_are_met(kind, studies):
    drawn = 0
    for study in studies:
        subjects = FIGURES[kind].needs(study)
        if subjects:
            frame = FIGURES[kind].frame(study, subjects[0])
            with figure_style():
                picture = FIGURES[kind].draw(study, subjects[0], frame)
            pd.testing.assert_frame_equal(picture.data, frame)
            assert len(frame)
            assert picture.caption.endswith(".")
            assert picture.figure.axes
            drawn += 1
    assert drawn


@pytest.mark.parametrize("kind", FIGURES)
def test_a_kind_without_rows_is_not_asked_for(kind, results):
    tables = ("evaluations", "energy", "clients", "rounds", "scores", "classes", "transfers")
    nothing = {name: getattr(results, name).iloc[:0] for name in tables}
    assert not FIGURES[kind].needs(dataclasses.replace(results, **nothing))


def test_above_twelve_variants_all_curves_are_drawn_the_others_in_grey(large):
    with figure_style():
        for kind, subject in (
            ("curve", GLOBAL_AGAINST_SECONDS),
            ("overview", Subject(metric="accuracy", split="global")),
        ):
            assert any(each == subject for each in FIGURES[kind].needs(large))
            picture = draw_picture(kind, large, subject)
            for ax in picture.figure.axes:
                colours = [line.get_color() for line in ax.lines if len(line.get_xdata()) > 2]
                assert len(colours) == 14
                assert colours.count(BACKGROUND) == 2
            (legend,) = picture.figure.legends
            words = [text.get_text() for text in legend.get_texts()]
            assert len(words) == 13
            assert words[-1] == "2 other variants"
            assert "after the first 12 are grey" in picture.caption
            assert set(picture.data["variant"]) == {f"m{i}" for i in range(14)}


def test_figures_of_a_metric_come_before_those_of_the_run(pictures):
    names = list(pictures)
    assert names[0] == "accuracy_global"
    assert names.index("to_accuracy_0.8") < names.index("energy_breakdown")


def test_tick_labels_of_logarithmic_axes_are_plain_text():
    with figure_style():
        ax = Figure().subplots()
        ax.plot([1e-4, 1e6], [0, 1])
        use_log_x(ax)
        ax.figure.draw_without_rendering()
        shown = [label.get_text() for label in ax.get_xticklabels()]
    assert {"0.01", "1", "100", "10⁶"} & set(shown)
    assert "$" not in "".join(shown)
    assert plain_power(3e-5) == "3·10⁻⁵"


def test_legend_never_covers_an_axes(pictures):
    for picture in pictures.values():
        picture.figure.draw_without_rendering()
        for legend in picture.figure.legends:
            box = legend.get_window_extent()
            for ax in picture.figure.axes:
                assert not box.overlaps(ax.get_window_extent()), picture.name


def test_rows_of_a_legend_are_equally_long():
    """Four entries where three fit in a row: two rows of two, not of three and one."""
    figure = Figure(figsize=(3.5, 2.7))
    figure.subplots()
    add_legend(figure, [Line2D([], [], label="fedamole") for _ in range(4)])
    figure.draw_without_rendering()
    (legend,) = figure.legends
    boxes = [text.get_window_extent() for text in legend.get_texts()]
    for corners in ([box.x0 for box in boxes], [box.y0 for box in boxes]):
        assert sorted(Counter(np.round(corners)).values()) == [2, 2]


def test_markers_on_an_axis_are_whole(pictures):
    """Curves start on the y axis: no mean curve is cut at the edge of the axes."""
    ax = pictures["accuracy_global_vs_seconds"].figure.axes[0]
    curves = [line for line in ax.lines if line.get_marker() not in {"None", "", None}]
    assert curves
    for line in curves:
        assert not line.get_clip_on()
        (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
        assert ((left <= line.get_xdata()) & (line.get_xdata() <= right)).all()
        assert ((low <= line.get_ydata()) & (line.get_ydata() <= high)).all()


def test_no_rule_crosses_words_on_a_figure(pictures):
    words = [
        text for ax in pictures["to_accuracy_0.8"].figure.axes for text in ax.texts
        if "reached" in text.get_text()
    ]  # fmt: skip
    assert words
    assert all(text.get_bbox_patch() is not None for text in words)


def test_axes_keep_room_with_many_long_labels(tmp_path):
    methods = [
        dataclasses.replace(METHODS[1], name=f"m{i}", label=f"Method {i}, scheduler round_robin")
        for i in range(10)
    ]
    folder = write_results(tmp_path / "out", methods=methods, seeds=(1,), num_rounds=2)
    results = load_results(folder)
    with figure_style():
        picture = draw_picture("curve", results, GLOBAL_AGAINST_SECONDS)
        picture.figure.draw_without_rendering()
        height_in = picture.figure.axes[0].get_window_extent().height / picture.figure.dpi
    assert height_in > 1.5
    assert "one seed: no band" in picture.caption


def test_styles_differ_pairwise_in_colour_or_dash_up_to_28_variants():
    styles = variant_styles({f"v{i}": f"v{i}" for i in range(28)})
    assert len({(s.colour, str(s.dash)) for s in styles.values()}) == 28
    neighbours = list(styles.values())
    assert all(a.marker != b.marker for a, b in itertools.pairwise(neighbours))
    assert len(set(PALETTE)) == 7


def test_absent_global_model_is_told_in_caption_and_legend(pictures):
    picture = pictures["accuracy_global_vs_seconds"]
    assert "hence not shown: Local only; PFTT, d 8, rank 8" in picture.caption
    (legend,) = picture.figure.legends
    assert legend.get_title().get_text().replace("\n", " ").startswith("no global model: Local")


def test_band_is_the_interval_and_target_is_drawn(results):
    frame = curve_frame(results, metric="accuracy", split="global", cost=COSTS["rounds"])
    ax = Figure().subplots()
    styles = variant_styles(results.labels)
    draw_curves(frame, ax, column="round", styles=styles, metric="accuracy", target=0.8)
    bands = [c for c in ax.collections if isinstance(c, PolyCollection)]
    first = frame[(frame["variant"] == "fedit_r8") & (frame["series"] == "mean")]
    heights = bands[0].get_paths()[0].vertices[:, 1]
    assert heights.max() == pytest.approx((first["mean"] + first["half_width"]).max())
    assert any(np.allclose(line.get_ydata(), 0.8) for line in ax.lines)
    assert ax.get_xlabel() == "round"


def test_one_seed_draws_no_band(tmp_path):
    folder = write_results(tmp_path / "out", methods=METHODS[1:2], seeds=(4,), num_rounds=3)
    results = load_results(folder)
    frame = curve_frame(results, metric="accuracy", split="global", cost=COSTS["joules"])
    ax = Figure().subplots()
    styles = variant_styles(results.labels)
    draw_curves(frame, ax, column="energy_j", styles=styles, metric="accuracy")
    assert not ax.collections
    assert ax.get_xlabel() == "client energy [J]"


def test_ends_of_single_seeds_continue_the_curve(results):
    frame = curve_frame(results, metric="accuracy", split="global", cost=COSTS["seconds"])
    rows = frame[frame["variant"] == "fedit_r8"]
    end = rows[rows["series"] == "mean"].iloc[-1]
    tails = rows[rows["series"] != "mean"].groupby("series")
    assert 1 <= len(tails) <= 2
    for name, tail in tails:
        assert tail["at_s"].iloc[0] == end["at_s"]
        query = f"variant == 'fedit_r8' and split == 'global' and seed == {name.split()[1]}"
        last = results.evaluations.query(query).iloc[-1]
        assert tail[["at_s", "mean"]].iloc[-1].tolist() == [last["at_s"], last["mean"]]


def test_parts_of_the_energy_add_up_to_the_ledger(results):
    frame = energy_frame(results)
    ledger = results.used(results.energy)
    for owner in ("client", "site"):
        rows = ledger[ledger["owner"].str.startswith(owner) & (ledger["variant"] == "fedit_r8")]
        per_seed = rows.groupby("seed")["energy_j"].sum()
        mine = frame[(frame["owner"] == owner) & (frame["variant"] == "fedit_r8")]
        assert mine["mean"].sum() == pytest.approx(per_seed.mean(), rel=1e-12)
        assert mine["total"].iloc[0] == pytest.approx(per_seed.mean(), rel=1e-12)


def test_parts_of_a_round_add_up_to_the_round(results):
    frame, has_wait = latency_frame(results)
    assert has_wait
    local = frame[frame["variant"] == "local"]  # all six clients always deliver
    rounds = results.rounds.query("variant == 'local'")
    length = (rounds["finished_at_s"] - rounds["started_at_s"]).groupby(rounds["seed"]).mean()
    assert local["mean"].sum() == pytest.approx(length.mean(), rel=1e-9)


def test_a_server_that_does_not_wait_has_no_wait_part(results):
    rounds = results.rounds.assign(finished_at_s=results.rounds["started_at_s"] + 1.0)
    hurried = dataclasses.replace(results, rounds=rounds)
    frame, has_wait = latency_frame(hurried)
    assert not has_wait
    assert "wait" not in set(frame["part"])


def test_unknown_activity_is_drawn_and_named(results):
    energy = results.energy.replace({"activity": {"idle": "sleeping"}})
    with figure_style():
        picture = draw_picture("energy", dataclasses.replace(results, energy=energy), Subject())
    (legend,) = picture.figure.legends
    assert "sleeping" in [text.get_text() for text in legend.get_texts()]


def test_stack_of_nothing_draws_nothing():
    ax = Figure().subplots()
    columns = ["variant", "part", "mean", "total", "total_half_width"]
    assert draw_stack(pd.DataFrame(columns=columns), ax, column="energy_j", colours={}) is ax
    assert not ax.containers
    assert ax.get_legend() is None


def test_shares_of_a_round_fill_the_axis_however_long_it_is():
    """Rounds that differ by a factor of a thousand, and one that took no time."""
    frame = pd.DataFrame(
        {
            "variant": ["slow", "slow", "fast", "fast", "none"],
            "part": ["compute", "upload", "compute", "upload", "compute"],
            "mean": [300.0, 700.0, 0.75, 0.25, 0.0],
            "total": [1000.0, 1000.0, 1.0, 1.0, 0.0],
            "total_half_width": 0.0,
        }
    )
    ax = Figure().subplots()
    draw_shares(frame, ax, colours={}, whole="the round")
    compute, upload = ([bar.get_width() for bar in bars] for bars in ax.containers)
    assert compute == pytest.approx([30, 75, 0])
    assert upload == pytest.approx([70, 25, 0])
    assert ax.get_xlim() == (0, 100)


def test_cdf_counts_values_at_or_below(results):
    durations = transfer_durations(results, direction="uplink")
    frame = cdf_frame(durations)
    mine = durations.loc[durations["variant"] == "fedit_r8", "duration_s"]
    curve = frame[frame["variant"] == "fedit_r8"]
    middle = curve.iloc[len(curve) // 2]
    assert middle["share"] == pytest.approx((mine <= middle["duration_s"]).mean())
    assert curve["share"].iloc[-1] == 1.0
    assert curve["share"].is_monotonic_increasing


def test_lost_transfers_do_not_count(results):
    lost = results.used(results.transfers).query("status != 'delivered'")
    assert len(lost)
    sent = results.used(results.transfers).query("direction == 'uplink'")
    assert len(transfer_durations(results, direction="uplink")) == len(sent) - len(lost)


def test_target_frame_has_one_row_a_run_and_cost(results):
    frame = target_frame(results, metric="accuracy", target=0.8, splits=["personal"])
    counts = frame.groupby(["variant", "cost"]).size()
    assert counts["fedit_r8"].tolist() == [3] * 4
    assert frame.loc[frame["variant"] == "local", "value"].isna().all()


def test_saved_bytes_repeat_and_svg_text_is_text(results, tmp_path):
    saved = []
    for turn in ("first", "second"):
        with figure_style():
            subject = Subject(metric="accuracy", split="global", cost=COSTS["uplink"])
            picture = draw_picture("curve", results, subject)
            saved.append(save_picture(picture, tmp_path / turn))
    first, second = saved
    for ending in ("png", "svg", "csv"):
        assert getattr(first, ending).read_bytes() == getattr(second, ending).read_bytes()
    svg = first.svg.read_text()
    assert ">uplink [MB]</text>" in svg
    assert "<dc:date>" not in svg
    data = pd.read_csv(first.csv)
    assert list(data.columns) == [
        "variant",
        "series",
        "uplink_mb",
        "mean",
        "half_width",
        "band",
        "n",
    ]
    assert first.png.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_dollar_signs_in_labels_are_text_not_formulas(tmp_path):
    methods = [dataclasses.replace(METHODS[1], label="costs $5_{ or $6")]
    folder = write_results(tmp_path / "out", methods=methods, seeds=(1,), num_rounds=2)
    with figure_style():
        saved = save_picture(draw_picture("energy", load_results(folder), Subject()), tmp_path)
    assert ">costs $5_{ or $6</text>" in saved.svg.read_text()


def test_no_pyplot_state_and_style_ends_with_its_block(results):
    import matplotlib as mpl  # noqa: PLC0415

    before = mpl.rcParams["svg.fonttype"]
    with figure_style():
        assert mpl.rcParams["svg.fonttype"] == "none"
    assert mpl.rcParams["svg.fonttype"] == before


def test_captions_of_two_seeds_say_what_an_interval_of_two_is(tmp_path):
    folder = write_results(tmp_path / "out", methods=METHODS[1:3], seeds=(1, 2), num_rounds=3)
    with figure_style():
        captions = {each.name: each.caption for each in all_pictures(load_results(folder))}
    drawn = "range of two seeds (tables give the interval of two seeds: Student-t, one degree of"
    for name in ("accuracy_global", "to_accuracy_0.8"):
        assert drawn in captions[name]
    assert (
        "± interval of two seeds (95 % Student-t, one degree of freedom)"
        in captions["energy_breakdown"]
    )


def test_what_is_measured_in_one_round_has_no_curve(finetuned):
    drawn = [each for kind in ("curve", "overview") for each in FIGURES[kind].needs(finetuned)]
    assert {each.split for each in drawn} == {"global", "personal"}
