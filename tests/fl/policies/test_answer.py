import numpy as np
import pytest

from fl.policies.answer import checked_selection
from tests.fl.policies.views import view


class Says:
    """A policy with a given answer."""

    def __init__(self, answer):
        self.answer = answer

    def select(self, view, *, rng):
        return self.answer


@pytest.mark.parametrize(
    "answer", [[3, 1], (3, 1), np.array([3, 1]), [np.int64(3), 1], range(1, 4, 2)]
)
def test_ids_come_ascending(answer):
    assert checked_selection(Says(answer), view(4), rng=None) == [1, 3]


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ({1: 2}, r"\{1: 2\}"),
        (None, "None"),
        ([[1], [1, 2]], r"\[\[1\], \[1, 2\]\]"),
        (np.array([[1]]), r"\[\[1\]\]"),
        (np.array(1), "1"),
        ([1.0], r"\[1\.0\]"),
        ([True], r"\[True\]"),
        ([1, 1], r"\[1, 1\]"),
        ([4], r"\[4\]"),
        ([-1], r"\[-1\]"),
    ],
)
def test_what_is_no_set_of_candidates_is_refused(answer, shown):
    rule = "must select ids out of 0..3, each at most once, got"
    with pytest.raises(ValueError, match=rf"^server\.policy: {rule} {shown} in round 1, at 0 s$"):
        checked_selection(Says(answer), view(4), rng=None)


def test_an_answer_that_cannot_be_shown_is_named_by_its_type():
    class Odd:
        def __str__(self):
            raise KeyError

    with pytest.raises(ValueError, match="got Odd in round 1"):
        checked_selection(Says(Odd()), view(4), rng=None)
