"""How much of a text repeats itself."""

import pytest

from fl.models.repetition import repeated_fraction


@pytest.mark.parametrize(
    ("text", "fraction"),
    [
        ("", 0.0),
        ("one", 0.0),
        ("one two three", 0.0),
        ("a a a a", 2 / 3),
        ("A a a", 0.5),
        ("go on and go on", 0.25),
    ],
)
def test_pairs_that_were_there_before(text, fraction):
    assert repeated_fraction(text) == pytest.approx(fraction)
