import gzip
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fl.data.config import DirichletPartition, FilesData
from fl.data.corpus import load_corpus
from fl.problems import DataError

TRAIN = pd.DataFrame(
    {
        "text": ["a b", "None", "e f", "g \u00e9"],
        "label": [3, 1, 3, 1],
        "name": ["x", "y", "x", "y"],
        "who": ["u", "v", "u", "w"],
    }
)
TEST = pd.DataFrame({"text": ["p", "NA"], "label": [1, 3], "name": ["y", "x"], "who": ["v", "u"]})


def write(table, path):
    suffix = path.name.removesuffix(".gz").rpartition(".")[2]
    if suffix == "parquet":
        table.to_parquet(path)
    elif suffix == "jsonl":
        table.to_json(path, orient="records", lines=True)
    else:
        table.to_csv(path, index=False, sep="\t" if suffix == "tsv" else ",")
    return str(path)


def settings(tmp_path, train=TRAIN, test=TEST, ending="csv", **keys):
    return FilesData(
        train=write(train, tmp_path / f"train.{ending}"),
        test=write(test, tmp_path / f"test.{ending}"),
        **keys,
    )


@pytest.mark.parametrize(
    "ending", ["parquet", "csv", "csv.gz", "tsv", "tsv.gz", "jsonl", "jsonl.gz"]
)
def test_every_format_gives_the_same_corpus(tmp_path, ending):
    config = settings(tmp_path, ending=ending, name="letters")
    if ending.endswith("gz"):
        assert gzip.decompress(Path(config.train).read_bytes())
    corpus = load_corpus(config)
    assert corpus.name == "letters"
    assert corpus.class_names == ("1", "3")
    assert corpus.train.texts == tuple(TRAIN["text"])
    np.testing.assert_array_equal(corpus.train.labels, [1, 0, 1, 0])
    np.testing.assert_array_equal(corpus.test.labels, [0, 1])
    assert corpus.train.domains is None


def test_name_defaults_to_the_file_and_names_serve_as_labels(tmp_path):
    corpus = load_corpus(settings(tmp_path, label="name", domain="who"))
    assert corpus.name == "train"
    assert corpus.class_names == ("x", "y")
    assert corpus.train.domain_names == ("u", "v", "w")
    np.testing.assert_array_equal(corpus.train.domains, [0, 1, 0, 2])
    np.testing.assert_array_equal(corpus.test.domains, [1, 0])


def test_digest_follows_every_part(tmp_path):
    base = load_corpus(settings(tmp_path)).digest
    assert load_corpus(settings(tmp_path)).digest == base
    assert load_corpus(settings(tmp_path, train=TRAIN.assign(label=[3, 1, 1, 1]))).digest != base
    assert load_corpus(settings(tmp_path, test=TEST.assign(text=["p", "NB"]))).digest != base
    assert load_corpus(settings(tmp_path, label="name")).digest != base


def test_caps_take_a_sample_that_order_does_not_change(tmp_path):
    long = pd.DataFrame({"text": [f"t{n}" for n in range(60)], "label": [1, 3] * 30})
    first = load_corpus(settings(tmp_path, train=long, max_train_texts=20, max_test_texts=1))
    second = load_corpus(settings(tmp_path, train=long[::-1], max_train_texts=20))
    assert len(first.train) == 20
    assert len(first.test) == 1
    assert sorted(first.train.texts) == sorted(second.train.texts)


@pytest.mark.parametrize(
    ("change", "keys", "message"),
    [
        ({}, {"text": "body"}, r"data.text: .*train.csv has no column 'body'; its columns: text, "),
        ({}, {"label": "y"}, r"data.label: .* has no column 'y'; its columns: "),
        ({}, {"domain": "z"}, r"data.domain: .* has no column 'z'"),
        ({"label": [1, 1, 1, 1]}, {}, r"data.label: .* must hold at least 2 classes, got only 1"),
        ({"label": [1.5, 1, 3, 3]}, {}, r"data.label: .* whole numbers or names, got 1.5 in row 0"),
        ({"label": [1, None, 3, None]}, {}, r"a label in every row, got none in row 1 \(2 such "),
        (
            {"label": ["1", "b", None, "1"]},
            {},
            r"a label in every row, got none in row 2 \(1 such ",
        ),
        ({"label": ["x", "b", "x", " "]}, {}, r"a label in every row, got none in row 3 \(1 such "),
        ({"label": ["x", "b", "x", "1.5"]}, {}, r"label 1, which is none of the training classes"),
        ({"text": ["a", None, "c", " "]}, {}, r"data.text: .* text in every row, .* row 1 \(2 "),
        ({"text": [1, 2, 3, 4]}, {}, r"data.text: .* must hold text in every row, got 1 in row 0"),
        ({"label": [1, 2, 1, 2]}, {}, r"label 3, which is none of the training classes \(1, 2\)"),
        ({"who": ["u", None, "u", "u"]}, {"domain": "who"}, r"data.domain: .* empty cells"),
    ],
)
def test_bad_tables_are_refused_in_one_line(tmp_path, change, keys, message):
    with pytest.raises(DataError, match=message) as caught:
        load_corpus(settings(tmp_path, train=TRAIN.assign(**change), **keys))
    assert "\n" not in str(caught.value)


def test_label_column_with_too_many_values_is_refused(tmp_path):
    many = pd.DataFrame({"text": ["a"] * 1001, "label": range(1001)})
    with pytest.raises(DataError, match="1001 distinct values; a class label has at most 1000"):
        load_corpus(settings(tmp_path, train=many))


def test_bad_files_are_refused_in_one_line(tmp_path):
    good = settings(tmp_path)
    (tmp_path / "bad.parquet").write_text("no parquet\nat all")
    (tmp_path / "bad.jsonl").write_text("{not json}\n")
    (tmp_path / "bad.csv.gz").write_text("not packed")
    packed = gzip.compress(TRAIN.to_csv(index=False).encode() * 50)
    (tmp_path / "short.csv.gz").write_bytes(packed[:-20])
    (tmp_path / "flipped.csv.gz").write_bytes(packed[:12] + b"\xff" * 8 + packed[20:])
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "header.csv").write_text("text,label\n")
    for name, message in {
        "absent.csv": "data.train: .*absent.csv does not exist",
        "": "data.train: .* is a folder, not a file",
        "words.txt": "the name must end in .parquet, .csv",
        "bad.parquet": "cannot be read as parquet",
        "bad.jsonl": "cannot be read as jsonl",
        "bad.csv.gz": "cannot be read as csv",
        "short.csv.gz": "cannot be read as csv: Compressed file ended",
        "flipped.csv.gz": "cannot be read as csv: Error -3 while decompressing",
        "empty.csv": "cannot be read as csv",
        "header.csv": "header.csv has no row",
    }.items():
        if name == "words.txt":
            (tmp_path / name).write_text("words")
        with pytest.raises(DataError, match=message) as caught:
            load_corpus(FilesData(train=str(tmp_path / name), test=good.test))
        assert "\n" not in str(caught.value)


PAIRS = TRAIN.assign(second=["w", "x", "y", "z"])
TEST_PAIRS = TEST.assign(second=["v", "u"])


def test_pairs_are_read_cell_by_cell(tmp_path):
    corpus = load_corpus(settings(tmp_path, PAIRS, TEST_PAIRS, text_pair="second"))
    assert corpus.train.pairs == tuple(PAIRS["second"])
    assert corpus.test.pairs == tuple(TEST_PAIRS["second"])
    assert corpus.train.responses is None
    assert corpus.train.take(np.array([2, 0])).pairs == ("y", "w")
    assert load_corpus(settings(tmp_path, PAIRS, TEST_PAIRS)).digest != corpus.digest


def test_answers_need_no_label_and_rests_of_prompts_may_be_empty(tmp_path):
    train = PAIRS.drop(columns="label").assign(more=["a", None, "", "b"])
    test = TEST_PAIRS.drop(columns="label").assign(more=["c", "d"])
    corpus = load_corpus(settings(tmp_path, train, test, response="second", text_pair="more"))
    assert corpus.train.responses == tuple(train["second"])
    assert corpus.train.pairs == ("a", "", "", "b")
    assert corpus.class_names == ("all",)
    assert not corpus.train.labels.any()
    by_name = settings(
        tmp_path, train, test, response="second", label="name", partition=DirichletPartition()
    )
    np.testing.assert_array_equal(load_corpus(by_name).train.labels, [0, 1, 0, 1])


@pytest.mark.parametrize(
    ("change", "keys", "message"),
    [
        ({}, {"text_pair": "third"}, r"data.text_pair: .* has no column 'third'"),
        ({}, {"response": "third"}, r"data.response: .* has no column 'third'"),
        ({"second": ["a", " ", "c", "d"]}, {"text_pair": "second"}, r"data.text_pair: .* row 1 "),
        ({"second": ["a", "b", "", "d"]}, {"response": "second"}, r"data.response: .* row 2 "),
        (
            {"who": ["u", 1, 2, "v"]},
            {"response": "second", "text_pair": "who"},
            r"data.text_pair: .* must hold text in every row, got 1 in row 1",
        ),
    ],
)
def test_bad_pairs_and_answers_are_refused_in_one_line(tmp_path, change, keys, message):
    config = settings(tmp_path, PAIRS.assign(**change), TEST_PAIRS, ending="jsonl", **keys)
    with pytest.raises(DataError, match=message) as caught:
        load_corpus(config)
    assert "\n" not in str(caught.value)


@pytest.fixture
def shared_data():
    beside = Path(__file__).parents[4] / "shared" / "data"
    folder = Path(os.environ.get("AIRTUNE_DATA") or beside)
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set AIRTUNE_DATA to its folder")
    return folder


@pytest.mark.data
def test_ag_news_files_load(shared_data):
    corpus = load_corpus(
        FilesData(
            train=str(shared_data / "agnews_desc_train.parquet"),
            test=str(shared_data / "agnews_desc_test.parquet"),
        )
    )
    np.testing.assert_array_equal(np.bincount(corpus.train.labels), [5204, 5269, 5361, 5165])
    np.testing.assert_array_equal(np.bincount(corpus.test.labels), [1900] * 4)


@pytest.mark.data
def test_natural_instructions_have_domains(shared_data):
    path = shared_data / "superni_40tasks.parquet"
    table = pd.read_parquet(path)
    assert table["task"].nunique() == 40
