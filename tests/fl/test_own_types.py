"""Settings of an own class are held to plain annotations; what is not plain goes through."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pytest

from fl.own_types import argument_types, find_wrong_type


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (1, int),
        (1, float),
        (1.5, float),
        (True, bool),
        ("a", str),
        (None, int | None),
        ([1], list[int]),
        ([1], tuple[int, ...]),
        ([1], Sequence[int]),
        ({"a": 1}, Mapping[str, int]),
        ("a", Literal["a", "b"]),
        ("x", Any),
        ("x", np.ndarray),
        ("x", int | np.ndarray),
    ],
)
def test_what_fits_is_taken(value, annotation):
    assert find_wrong_type(value, annotation) is None


@pytest.mark.parametrize(
    ("value", "annotation", "said"),
    [
        ("two", int, "must be a whole number"),
        (True, int, "must be a whole number"),
        (True, float, "must be a number"),
        (1.5, int, "must be a whole number"),
        (1, bool, "must be true or false"),
        ("x", int | None, "must be a whole number or null"),
        (1, list[int], "must be a list"),
        ([1], dict[str, int], "must be a mapping"),
        ("c", Literal["a", "b"], "must be one of 'a', 'b'"),
    ],
)
def test_what_does_not_fit_is_told_in_words_of_the_file(value, annotation, said):
    assert find_wrong_type(value, annotation) == said


def test_annotations_that_cannot_be_resolved_hold_nothing():
    class Odd:
        def __init__(self, a: "Nowhere"): ...  # noqa: F821

    assert argument_types(Odd) == {}
