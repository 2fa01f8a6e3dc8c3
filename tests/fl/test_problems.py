"""How what is wrong is told: one line of bounded length, and when it was."""

import pytest

from fl.problems import OwnCodeError, during, is_whole_text, one_line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("1234567890", "1234567890"),
        ("12345678901", "1234567..."),
        ("  a\t b\n\nc ", "a b c"),
        ("", ""),
        ("a" + " " * 200, "a..."),  # what is not read is not said to be nothing
        ("a" * 10**6, "aaaaaaa..."),
    ],
)
def test_a_text_is_put_on_one_line_of_bounded_length(text, line):
    assert one_line(text, 10) == line


@pytest.mark.parametrize("text", ["", "plain", "\x00", "\ud7ff\ue000", "\uffff", "\U0010ffff"])
def test_text_of_whole_characters(text):
    assert is_whole_text(text)


@pytest.mark.parametrize("code", [0xD800, 0xDBFF, 0xDC00, 0xDFFF])
def test_half_a_character_is_found_wherever_it_stands(code):
    assert not is_whole_text(f"a{chr(code)}b")


def test_only_errors_of_own_code_get_the_situation():
    with pytest.raises(OwnCodeError, match=r"^broken \(in round 2\)$"), during("in round 2"):
        raise OwnCodeError("broken")  # noqa: EM101
    with pytest.raises(ValueError, match=r"^broken$"), during("in round 2"):
        raise ValueError("broken")  # noqa: EM101
