import gzip
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fl.data.config import DirichletPartition, DomainsPartition, FilesData
from fl.data.corpus import load_corpus
from fl.data.partition import partition
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


ASKED = pd.DataFrame(
    {
        "ask": [f"Question {number}?" for number in range(60)],
        "say": [f"Answer {number}." for number in range(60)],
        "bad": [f"No {number}." for number in range(60)],
        "part": ["train", "train2", "test"] * 20,
        "task": [f"task{number % 6}" for number in range(60)],
    }
)


def one_file(tmp_path, table=ASKED, **keys):
    place = write(table, tmp_path / "all.parquet")
    return FilesData(train=place, text="ask", response="say", **keys)


def test_a_column_tells_the_parts_of_one_file_apart(tmp_path):
    corpus = load_corpus(one_file(tmp_path, part="part"))
    assert corpus.train.texts == tuple(ASKED["ask"][::3])
    assert corpus.test.responses == tuple(ASKED["say"][2::3])
    other = load_corpus(one_file(tmp_path, part="part", train_part="train2"))
    assert other.train.texts == tuple(ASKED["ask"][1::3])
    same = load_corpus(one_file(tmp_path, test=str(tmp_path / "all.parquet"), part="part"))
    assert same.digest == corpus.digest


def test_a_file_without_parts_keeps_a_fifth_of_its_prompts_for_tests(tmp_path):
    corpus = load_corpus(one_file(tmp_path))
    train, test = set(corpus.train.texts), set(corpus.test.texts)
    assert train | test == set(ASKED["ask"])
    assert not train & test
    assert 4 <= len(test) <= 20
    turned = load_corpus(one_file(tmp_path, ASKED[::-1]))
    assert set(turned.test.texts) == test
    doubled = pd.concat([ASKED, ASKED.assign(say="Another answer.")])
    assert load_corpus(one_file(tmp_path, doubled)).num_test_texts_in_train == 0


def test_some_domains_are_kept_in_both_tables(tmp_path):
    config = one_file(tmp_path, domain="task", keep_domains=("task5", "task0"))
    corpus = load_corpus(config)
    assert corpus.train.domain_names == ("task0", "task5")
    assert len(corpus.train) + len(corpus.test) == 20


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"part": "which"}, r"data\.part: .* has no column 'which'; its columns: ask, say, bad"),
        (
            {"part": "part", "train_part": "dev"},
            r"data\.train_part: column 'part' of .* has no 'dev'; it has test, train, train2",
        ),
        (
            {"domain": "task", "keep_domains": ("task0", "task9")},
            r"data\.keep_domains: column 'task' of .* has no 'task9'; it has task0, task1",
        ),
        ({"rejected": "worse"}, r"data\.rejected: .* has no column 'worse'"),
        ({"prompt_marks": "human_assistant"}, r"data\.prompt_marks: .* got 'Question 0\?' in row"),
    ],
)
def test_parts_domains_and_marks_that_are_not_there(tmp_path, keys, message):
    with pytest.raises(DataError, match=message) as caught:
        load_corpus(one_file(tmp_path, **keys))
    assert "\n" not in str(caught.value)


def test_rejected_answers_stay_with_their_prompts(tmp_path):
    plain = load_corpus(one_file(tmp_path, part="part"))
    corpus = load_corpus(one_file(tmp_path, part="part", rejected="bad"))
    assert plain.train.rejected is None
    assert corpus.train.rejected == tuple(ASKED["bad"][::3])
    assert corpus.train.take(np.array([2, 0])).rejected == ("No 6.", "No 0.")
    assert corpus.digest != plain.digest
    empty = ASKED.assign(bad=" ")
    with pytest.raises(DataError, match=r"data\.rejected: .* must hold text in every row"):
        load_corpus(one_file(tmp_path, empty, rejected="bad"))


def test_marks_of_a_dialogue_are_taken_off_prompts(tmp_path):
    asked = [f"\n\nHuman: What is {number}?\n\nAssistant:" for number in range(59)]
    asked.append("\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: Bye\n\nAssistant:")
    config = one_file(tmp_path, ASKED.assign(ask=asked), prompt_marks="human_assistant")
    corpus = load_corpus(config)
    texts = {*corpus.train.texts, *corpus.test.texts}
    assert "What is 3?" in texts
    assert "Hi\n\nAssistant: Hello\n\nHuman: Bye" in texts


@pytest.mark.data
def test_instruction_files_are_shared_by_category_and_by_task(shared_data):
    dolly = FilesData(
        train=str(shared_data / "dolly15k.parquet"),
        text="instruction",
        text_pair="input",
        response="output",
        label="category",
        partition=DirichletPartition(alpha=0.1),
    )
    corpus = load_corpus(dolly)
    assert len(corpus.class_names) == 8
    assert 0.18 < len(corpus.test) / 15_011 < 0.22
    parts = partition(corpus.train, dolly.partition, num_clients=10, rng=np.random.default_rng(0))
    shares = [np.bincount(corpus.train.labels[own], minlength=8).max() / len(own) for own in parts]
    assert np.mean(shares) > 0.5  # the largest of eight categories is a quarter of all

    tasks = ("task1289_trec_classification", "task1146_country_capital", "task645_summarization")
    config = FilesData(
        train=str(shared_data / "superni_40tasks.parquet"),
        part="part",
        text="instruction",
        text_pair="input",
        response="output",
        domain="task",
        keep_domains=tasks,
        partition=DomainsPartition(),
    )
    corpus = load_corpus(config)
    assert (len(corpus.train), len(corpus.test)) == (600, 60)
    parts = partition(corpus.train, config.partition, num_clients=3, rng=np.random.default_rng(0))
    assert [len(np.unique(corpus.train.domains[own])) for own in parts] == [1, 1, 1]

    alpaca = FilesData(
        train=str(shared_data / "alpaca_6k.parquet"),
        text="instruction",
        text_pair="input",
        response="output",
    )
    corpus = load_corpus(alpaca)
    assert len(corpus.train) + len(corpus.test) == 6_000


@pytest.mark.data
def test_preference_files_hold_pairs(shared_data):
    config = FilesData(
        train=str(shared_data / "hh_helpful_single_turn.parquet"),
        part="part",
        text="prompt",
        response="chosen",
        rejected="rejected",
        prompt_marks="human_assistant",
    )
    corpus = load_corpus(config)
    assert (len(corpus.train), len(corpus.test)) == (3_997, 3_997)
    assert corpus.train.texts[0] == "What do you know about reiki healing?"
    assert corpus.train.rejected[0].startswith(" Reiki is")
