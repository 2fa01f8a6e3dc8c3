"""Delimited text and JSON lines: every row is read as it stands, or the file is refused."""

import csv
import gzip
import json

import pandas as pd
import pytest

from fl.data.config import FilesData
from fl.data.corpus import load_corpus
from fl.data.files import read_frame
from fl.data.text_files import read_delimited, read_json_lines
from fl.problems import DataError

# marks as public benchmarks hold them: they open and never close, close elsewhere, stand doubled
RAW_TEXTS = ['"warm bread he said', 'milk," she said "and', 'no" said he', '""', '6" wide', "plain"]


def raw_tsv(texts):
    rows = (f"{text}\t{'neg' if row % 2 else 'pos'}\n" for row, text in enumerate(texts))
    return "text\tlabel\n" + "".join(rows)


@pytest.fixture
def read(tmp_path):
    def read_text(text, name="table.tsv", **keys):
        path = tmp_path / name
        data = text if isinstance(text, bytes) else text.encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return read_frame(str(path), key="train", **keys)

    return read_text


@pytest.mark.parametrize("name", ["table.tsv", "table.TSV", "table.tsv.gz"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_raw_tsv_keeps_every_row_and_every_mark(read, name, line_end):
    texts = RAW_TEXTS * 10
    table = read(raw_tsv(texts).replace("\n", line_end), name)
    assert table["text"].tolist() == texts
    assert table["label"].tolist() == ["pos", "neg"] * 30


def test_a_raw_tsv_gives_its_classes_and_no_other(tmp_path):
    for split, texts in (("train", RAW_TEXTS * 3), ("test", ["unseen", "texts"])):
        (tmp_path / f"{split}.tsv").write_text(raw_tsv(texts))
    corpus = load_corpus(
        FilesData(train=str(tmp_path / "train.tsv"), test=str(tmp_path / "test.tsv"))
    )
    assert corpus.class_names == ("neg", "pos")
    assert corpus.count_classes(corpus.train) == [9, 9]


def test_what_is_said_of_quoting_holds_for_every_ending(read):
    quoted = 'text{0}label\n"a ""b"" c"{0}x\nd{0}y\n'
    for name, delimiter in (("t.csv", ","), ("t.tsv", "\t")):
        table = read(quoted.format(delimiter), name, quoting="standard")
        assert table["text"].tolist() == ['a "b" c', "d"]
        table = read(quoted.format(delimiter), name, quoting="none")
        assert table["text"].tolist() == ['"a ""b"" c"', "d"]
    assert read(quoted.format(","), "t.csv")["text"].tolist() == ['a "b" c', "d"]


def test_a_quoted_csv_may_hold_line_ends_and_long_cells(read):
    long = "x" * 200_000
    limit = csv.field_size_limit()
    table = read(f'text,label\n"a\nb, c",1\n\n{long},2\n', "t.csv")
    assert table["text"].tolist() == ["a\nb, c", long]
    assert csv.field_size_limit() == limit


@pytest.mark.parametrize(
    ("text", "keys", "reason"),
    [
        ("text\tlabel\na\tx\nb\tc\ty\n", {}, "line 3 has 3 cells, the header 2; without quoting"),
        ("text\tlabel\na\nb\ty\n", {}, "line 2 has 1 cell, the header 2; .* hold a tab or a line"),
        ("text\tlabel\na\rb\ty\n", {}, "line 2 holds a carriage return"),
        (
            'text\tlabel\n"a\tx\nb"\ty\n',
            {"quoting": "standard"},
            "row that begins in line 2 has a cell with a tab .* set data.quoting to none",
        ),
        (
            'text\tlabel\nz\tx\n"a\tx\nb," she\ty\n',
            {"quoting": "standard"},
            "row that begins in line 3 is not quoted as a table is",
        ),
        ('text\tlabel\n"a\tx\n', {"quoting": "standard"}, "line 2 is not quoted as a table is"),
        ('"text"\t"label"\n"a"\t"x"\n', {}, "header is in quotation marks: set data.quoting to st"),
        ('text\tlabel\n"a ""b"""\tx\nc\ty\n', {}, "cells seem to be quoted .* data.quoting to sta"),
        ("text\ttext\na\tx\n", {}, "names of its columns must differ, got 'text' more than once"),
        ("", {}, "it has no header line"),
        (b"text\tlabel\na\tx\n\xe9t\xe9\ty\n", {}, "must be UTF-8 text, got byte 0xe9 in line 3"),
    ],
)
def test_what_cannot_be_read_is_one_line_that_names_its_line(read, text, keys, reason):
    with pytest.raises(DataError, match=reason) as caught:
        read(text, **keys)
    assert "\n" not in str(caught.value)


def test_a_csv_with_lone_marks_is_refused_instead_of_losing_rows(read):
    with pytest.raises(DataError, match=r"line 2 is not quoted .* data.quoting to none"):
        read('text,label\n"warm bread he said,neg\nmilk" she said,pos\n', "t.csv")
    with pytest.raises(DataError, match=r"line 3 has 3 cells, .* holds a comma .* in quotation"):
        read("text,label\na,x\nb,c,y\n", "t.csv")


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1", "-3", "0"], [1, -3, 0]),
        (["1", "", "0"], [1, None, 0]),
        (["1.0", "3"], [1.0, 3.0]),
        (["True", "false"], [True, False]),
        (["1", "b"], ["1", "b"]),
        (["01", "10"], ["01", "10"]),
        (["None", "NA", "nan"], ["None", "NA", "nan"]),
        (["9" * 30], ["9" * 30]),
    ],
)
def test_a_column_is_of_numbers_where_every_cell_is_one(tmp_path, cells, values):
    (tmp_path / "t.csv").write_text("a,b\n" + "".join(f"{cell},x\n" for cell in cells))
    table = read_delimited(tmp_path / "t.csv", suffix=".csv", quoting=None)
    assert table["a"].tolist() == values
    assert [type(cell) for cell in table["a"]] == [type(value) for value in values]


def test_a_mark_of_the_byte_order_is_no_part_of_the_first_name(read):
    assert list(read("\ufefftext\tlabel\na\tx\n").columns) == ["text", "label"]


def test_json_lines_are_read_as_they_stand(tmp_path):
    rows = [{"updated_at": "2020-01-01", "label": 1}, {"label": True, "text": None}, {"label": 2.5}]
    path = tmp_path / "t.jsonl"
    path.write_text("".join(json.dumps(row) + "\n\n" for row in rows))
    table = read_json_lines(path)
    assert table["updated_at"].tolist() == ["2020-01-01", None, None]
    assert table["label"].tolist() == [1, True, 2.5]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("[1, 2]", r"line 2 must hold a JSON object, got '\[1, 2\]'"),
        ("{'a': 1}", "line 2 is not JSON: .* at character 2"),
        ("[" * 100_000, "line 2 is nested too deep"),
        ('{"a": ' + "1" * 5000 + "}", "line 2: Exceeds the limit"),
    ],
)
def test_lines_that_hold_no_object_are_named(read, line, reason):
    with pytest.raises(DataError, match=reason) as caught:
        read('{"a": 1}\n' + line + "\n", "t.jsonl")
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("key", ["text", "text_pair", "response", "label", "domain"])
def test_half_a_character_is_refused_in_every_column(tmp_path, key):
    columns = {name: name for name in ("text", "text_pair", "response", "label", "domain")}
    rows = [{name: f"{name} {number % 2}" for name in columns} for number in range(4)]
    path = tmp_path / "test.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    rows[1][key] = "\ud800"
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = FilesData(train=str(tmp_path / "train.jsonl"), test=str(path), **columns)
    with pytest.raises(DataError, match=rf"data.{key}: .* lone surrogate in '\\ud800' in row 1"):
        load_corpus(config)


def test_messages_stay_short_whatever_a_file_holds(tmp_path):
    wide = pd.DataFrame({f"column {number}": ["a"] for number in range(5000)})
    wide.to_csv(tmp_path / "wide.csv", index=False)
    label = "x" * 1_000_000
    (tmp_path / "long.csv").write_text(f"text,label\na,{label}\n")
    (tmp_path / "good.csv").write_text("text,label\na,x\nb,y\n")
    for train, test in (("wide", "good"), ("good", "long")):
        config = FilesData(train=str(tmp_path / f"{train}.csv"), test=str(tmp_path / f"{test}.csv"))
        with pytest.raises(DataError) as caught:
            load_corpus(config)
        assert len(str(caught.value)) < 800
