"""What a policy is shown, and which of its answers are taken."""

import numpy as np
import pytest

from fl.methods.head.config import HeadConfig
from fl.server.selection import select_clients
from tests.fl.fakes import federation, streams


class Fixed:
    """A policy with one answer, which keeps what it is shown."""

    def __init__(self, answer):
        self.answer = answer

    def select(self, view, *, rng):
        self.view, self.drawn = view, rng.random()
        return self.answer


def asked(answer, *, round_id=3):
    made = federation(HeadConfig(), num_clients=5)
    made.policy = Fixed(answer)
    made.roster.end(2, round_id=1, loss=0.5)
    return made, select_clients(made, round_id)


def test_a_policy_sees_what_the_server_knows():
    made, _ = asked([0])
    view = made.policy.view
    assert (view.round, view.now_s) == (3, 0.0)
    clients = view.candidates
    assert clients.client_id.tolist() == [0, 1, 2, 3, 4]
    assert clients.num_samples.tolist() == [len(shard.train) for shard in made.shards]
    assert clients.times_selected.tolist() == [0, 0, 1, 0, 0]
    assert clients.last_round.tolist() == [0, 0, 1, 0, 0]
    assert clients.last_loss[2] == 0.5
    assert made.policy.drawn == streams()("cohort", 3).random()
    clients.times_selected[:] = 9  # a copy: a policy changes nothing at the server
    assert made.roster.times_selected.tolist() == [0, 0, 1, 0, 0]


@pytest.mark.parametrize(
    ("answer", "chosen"),
    [
        ([3, 1], [1, 3]),
        ((4,), [4]),
        (np.array([4, 0]), [0, 4]),
        (range(5), [0, 1, 2, 3, 4]),
        ([], []),
        ([np.int64(2)], [2]),
    ],
)
def test_sets_of_clients_are_taken_in_order(answer, chosen):
    assert asked(answer)[1] == chosen


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ([1, 1], r"\[1, 1\]"),
        ([5], r"\[5\]"),
        ([-1], r"\[-1\]"),
        ([1.0], r"\[1.0\]"),
        ([True], r"\[True\]"),
        (None, "None"),
        ("12", "12"),
        ({1, 2}, r"\{1, 2\}"),
    ],
)
def test_anything_else_is_refused_with_round_and_instant(answer, shown):
    rule = r"server.policy: must select ids out of 0..4, each at most once, got "
    with pytest.raises(ValueError, match=f"^{rule}{shown} in round 3, at 0 s$"):
        asked(answer)
