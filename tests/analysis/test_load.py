import json
import shutil

import pytest

from analysis.load import SCHEMAS, ResultError, load_results
from tests.analysis.synthetic import METHODS, write_results


@pytest.fixture
def small(tmp_path):
    return write_results(tmp_path / "out", methods=METHODS[1:3], seeds=(1, 2), num_rounds=3)


def manifest_of(folder):
    return json.loads((folder / "manifest.json").read_text())


def put_manifest(folder, manifest):
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_every_row_on_disk_is_loaded_with_its_address(small):
    results = load_results(small)
    for kind, columns in SCHEMAS.items():
        frame = getattr(results, kind)
        files = small.glob(f"*/seed*/{kind}.csv")
        lines = sum(len(file.read_text().splitlines()) - 1 for file in files)
        assert len(frame) == lines > 0
        assert list(frame.columns[:2]) == ["variant", "seed"]
        assert set(columns) <= set(frame.columns)
    assert results.runs["is_used"].all()
    assert results.notes == ()
    assert results.labels == {"fedit_r8": "FedIT, rank 8", "fedtt_r5": "FedTT, rank 5"}


def test_killed_run_is_readable_named_and_left_out(results):
    assert results.notes == (
        "FedTT, rank 5, seed 3: interrupted after 9 rounds; left out of means",
    )
    rows = results.rounds.query("variant == 'fedtt_r5' and seed == 3")
    assert list(rows["round"]) == list(range(1, 10))  # the half row at the end is gone
    used = results.used(results.rounds)
    assert set(used.query("variant == 'fedtt_r5'")["seed"]) == {1, 2}


def test_variant_without_finished_run_is_shown_as_far_as_it_got(tmp_path):
    folder = write_results(
        tmp_path / "out", methods=METHODS[1:3], seeds=(1,), num_rounds=5, cut={("fedit_r8", 1): 1}
    )
    results = load_results(folder)
    assert results.runs["is_used"].all()
    assert results.notes == (
        "FedIT, rank 8, seed 1: interrupted after 1 round; shown as far as it got",
    )


def test_missing_seed_and_foreign_folder_are_told(small):
    shutil.rmtree(small / "fedit_r8" / "seed2")
    shutil.copytree(small / "fedtt_r5", small / "elsewhere")
    notes = load_results(small).notes
    assert "FedIT, rank 8: no result for seed 2" in notes
    assert "elsewhere/seed1: not in the manifest, left out" in notes


def test_run_absent_from_the_manifest_counts_as_interrupted(small):
    manifest = manifest_of(small)
    manifest["runs"] = manifest["runs"][1:]
    put_manifest(small, manifest)
    runs = load_results(small).runs
    assert list(runs["status"]) == ["interrupted", "done", "done", "done"]
    assert list(runs["is_used"]) == [False, True, True, True]


def test_labels_that_clash_give_way_to_names(small):
    manifest = manifest_of(small)
    for variant in manifest["variants"]:
        variant["label"] = "the same"
    put_manifest(small, manifest)
    assert list(load_results(small).labels.values()) == ["fedit_r8", "fedtt_r5"]


def test_missing_folder(tmp_path):
    with pytest.raises(ResultError, match="nowhere: no such result folder"):
        load_results(tmp_path / "nowhere")


def test_missing_manifest(tmp_path):
    with pytest.raises(ResultError, match=r"no manifest\.json"):
        load_results(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not readable as JSON"),
        ("[]", "must hold one JSON object, got list"),
        ("{}", "variants: must be a list"),
        ('{"variants": [{"label": "x"}]}', "variants: must be a list"),
    ],
)
def test_bad_manifest(tmp_path, text, message):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ResultError, match=message):
        load_results(tmp_path)


def test_nothing_finished(small):
    for file in small.glob("*/seed*/evaluations.csv"):
        file.unlink()
    manifest = manifest_of(small)
    manifest["runs"] = []
    put_manifest(small, manifest)
    with pytest.raises(ResultError, match="nothing finished"):
        load_results(small)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("started_at_s", "begun_at_s", r"rounds\.csv: lacks the column started_at_s"),
        ("\n2,", "\ntwo,", r"line 3: round: must be a whole number, got 'two'"),
        ("\n2,", "\n2.5,", r"line 3: round: must be a whole number, got '2.5'"),
        ("\n2,", "\n,", r"line 3: round: must be a whole number, got an empty cell"),
        ("\n2,", "\n2,7,7,", r"Expected 11 fields in line 3"),
    ],
)
def test_bad_cell_names_file_line_and_column(small, old, new, message):
    path = small / "fedit_r8" / "seed1" / "rounds.csv"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(ResultError, match=message) as caught:
        load_results(small)
    assert "\n" not in str(caught.value)


def test_done_run_must_be_whole(small):
    path = small / "fedit_r8" / "seed1" / "rounds.csv"
    path.write_text(path.read_text()[:-3])
    with pytest.raises(ResultError, match="ends in the middle of a row"):
        load_results(small)
    path.unlink()
    with pytest.raises(ResultError, match="missing, though the manifest says"):
        load_results(small)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("runs", None),
        ("runs", "done"),
        ("runs", [1]),
        ("runs", [{"seed": 1}]),
        ("runs", [{"variant": "fedit_r8", "seed": "one"}]),
        ("runs", [{"variant": "fedit_r8", "seed": [1]}]),
        ("runs", [{"variant": "fedit_r8", "seed": 1, "host_total_s": "long"}]),
        ("seeds", 1),
        ("seeds", ["one"]),
        ("targets", [1]),
        ("targets", {"accuracy": "high"}),
        ("variants", {"name": "x"}),
    ],
)
def test_a_manifest_with_a_bad_entry_is_refused_in_one_line(small, key, value):
    put_manifest(small, {**manifest_of(small), key: value})
    with pytest.raises(ResultError, match=rf"manifest\.json: {key}: must be") as caught:
        load_results(small)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"\xff\xfe\n", b"\n\n"])
def test_a_table_that_is_no_text_or_has_no_columns_is_refused(small, content):
    path = small / "fedit_r8" / "seed1" / "rounds.csv"
    path.write_bytes(content)
    with pytest.raises(ResultError, match=r"rounds\.csv: "):
        load_results(small)
