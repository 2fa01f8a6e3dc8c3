"""What a policy is shown, and which of its answers are taken."""

import numpy as np
import pytest

from fl.methods.head.config import HeadConfig
from fl.policies.view import NobodyFitsError
from fl.server.selection import select_clients
from fl.server.starting import start_participations
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
    made.roster.end(
        2, round_id=1, duration_s=9.0, spent_j=2.0, is_received=True, losses=(0.5, 0.75)
    )
    return made, chosen(made, round_id)


def chosen(made, round_id, **options):
    return made.env.run(until=made.env.process(select_clients(made, round_id, **options)))


def test_a_policy_sees_what_the_server_knows():
    made, _ = asked([0])
    view = made.policy.view
    assert (view.round, view.now_s) == (3, 0.0)
    clients = view.candidates
    assert clients.client_id.tolist() == [0, 1, 2, 3, 4]
    assert clients.num_samples.tolist() == [len(shard.train) for shard in made.shards]
    assert clients.times_selected.tolist() == [0, 0, 1, 0, 0]
    assert clients.last_round.tolist() == [0, 0, 1, 0, 0]
    assert clients.last_received.tolist() == [0, 0, 1, 0, 0]
    assert (clients.last_loss[2], clients.last_rms_loss[2]) == (0.5, 0.75)
    assert (clients.last_duration_s[2], clients.spent_j[2]) == (9.0, 2.0)
    assert np.isnan(clients.last_duration_s[[0, 1, 3, 4]]).all()
    assert np.isnan(clients.asked_loss).all()
    assert view.num_wanted is None
    assert made.policy.drawn == streams()("cohort", 3).random()
    clients.times_selected[:] = 9  # a copy: a policy changes nothing at the server
    assert made.roster.times_selected.tolist() == [0, 0, 1, 0, 0]


@pytest.mark.parametrize(
    ("answer", "taken"),
    [
        ([3, 1], [1, 3]),
        ((4,), [4]),
        (np.array([4, 0]), [0, 4]),
        (range(5), [0, 1, 2, 3, 4]),
        ([np.int64(2)], [2]),
    ],
)
def test_sets_of_clients_are_taken_in_order(answer, taken):
    assert asked(answer)[1] == taken


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


def test_nobody_is_refused():
    rule = "server.policy: must select at least one of 5 candidates, got none in round 3, at 0 s"
    with pytest.raises(ValueError, match=f"^{rule}$"):
        asked([])


def test_who_is_away_or_at_work_is_no_candidate(monkeypatch):
    made, _ = asked([0])
    monkeypatch.setattr(made.presence, "candidate_ids", lambda: np.array([0, 2, 3, 4]))
    made.policy.answer = [2]
    assert chosen(made, 4, num_wanted=2) == [2]
    assert made.policy.view.candidates.client_id.tolist() == [0, 2, 3, 4]
    assert made.policy.view.num_wanted == 2
    assert made.policy.view.candidates.num_samples.tolist() == [
        len(made.shards[each].train) for each in (0, 2, 3, 4)
    ]
    made.policy.answer = [1]
    with pytest.raises(ValueError, match=r"must select ids of the 4 candidates within 0\.\.4"):
        chosen(made, 6)


def test_without_any_candidate_the_policy_is_not_asked(monkeypatch):
    made, _ = asked([0])
    del made.policy.view
    monkeypatch.setattr(made.presence, "candidate_ids", lambda: np.array([], dtype=np.int64))
    assert chosen(made, 4) == []
    assert not hasattr(made.policy, "view")


class NoneFit:
    """A policy whose settings allow nobody."""

    def select(self, view, *, rng):
        msg = "knob: nobody is good enough"
        raise NobodyFitsError(msg)


def test_where_nobody_fits_the_server_waits_for_those_who_are_at_work():
    made = federation(HeadConfig(), num_clients=5)
    made.policy = NoneFit()
    with pytest.raises(ValueError, match=r"^server.policy: knob: nobody is good .* at 0 s$"):
        chosen(made, 1)
    start_participations(made, [2], round_id=1)
    assert chosen(made, 1) == []
