"""Rows of csv files that users write: lines, columns, numbers."""

import pytest

from fl.csv_rows import by_column, header_faults, number, read_rows


def write(tmp_path, text):
    path = tmp_path / "table.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def test_rows_keep_the_numbers_of_their_lines(tmp_path):
    text = '\ufeff# remark\n name, x\n\n#\n a ,1\n,\n"b, c\nd", 2 \n'
    header, rows = read_rows(write(tmp_path, text), max_rows=2)
    assert header == ["name", "x"]
    # a quoted line break ends on line 8
    assert rows == [(5, ["a", "1"]), (8, ["b, c\nd", "2"])]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must have a header and 1 to 2 parts, got 0 lines"),
        ("a\n,\n \n", "must have a header and 1 to 2 parts, got 1 lines"),
        ("a\n1\n2\n3", "must have a header and 1 to 2 parts, got 4 lines"),
        ('a\n#\n"1', "line 3: unexpected end of data"),
        (b"\xff", "is not UTF-8 text"),
        ("a\n\0", "is not text, it holds null characters"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, text, message):
    with pytest.raises(ValueError, match=r"^" + message + "$"):
        read_rows(write(tmp_path, text), max_rows=2, things="parts")


def test_a_file_that_cannot_be_read_is_told_why(tmp_path):
    with pytest.raises(ValueError, match=r"^cannot be read: No such file or directory$"):
        read_rows(str(tmp_path / "absent.csv"), max_rows=2)
    with pytest.raises(ValueError, match=r"^cannot be read: Is a directory$"):
        read_rows(str(tmp_path), max_rows=2)


def test_faults_of_a_header():
    def found(*header):
        return list(header_faults(header, known=["name", "power"], needed=["name", "power"]))

    assert found("power", "name") == []
    assert found("name", "pover") == [
        "unknown column 'pover'; did you mean 'power'?",
        "lacks the column power",
    ]
    assert found("x" * 99, "name", "power") == [
        f"unknown column '{'x' * 40}'; known: name, power",
    ]
    assert found("name;power")[0] == "must have commas between its cells, got 'name;power'"
    assert found("name\tpower")[0] == "must have commas between its cells, got 'name\\tpower'"
    assert found("name", "name") == ["must not have a column twice", "lacks the column power"]


def test_cells_and_numbers():
    assert by_column(["a", "b"], ["1", ""]) == {"a": "1"}
    with pytest.raises(ValueError, match=r"^must have 2 cells, got 3$"):
        by_column(["a", "b"], ["1", "2", "3"])
    assert number("x", "-2e3") == -2000.0
    for cell in ("two", "inf", "nan", ""):
        with pytest.raises(ValueError, match=f"^x: must be a number, got '{cell}'$"):
            number("x", cell)
