"""Private rounds of a federation: rows, gaps, and what is refused."""

import pytest
import torch

from fl.codecs.top_k import TopKCodec
from fl.methods.fedit.config import FeditConfig
from fl.methods.flora.config import FloraConfig
from fl.methods.local.config import LocalConfig
from fl.methods.pftt.config import PfttConfig
from fl.policies import (
    AllPolicyConfig,
    PoissonPolicyConfig,
    RandomPolicyConfig,
    RoundRobinPolicyConfig,
)
from fl.privacy.accountant import Accountant
from fl.privacy.config import ClientPrivacy
from fl.server.config import DeadlineServer, FedBuffServer, HierarchicalServer, SyncServer
from fl.server.rules import find_problems
from tests.fl.fakes import federation
from tests.fl.server.scalar import play, scalar_federation, values

PRIVACY = ClientPrivacy(clip_norm=0.5, noise_multiplier=1.0, delta=1e-3)


def gap(method=None, **server):
    played = federation(method or FeditConfig(), num_rounds=1, privacy=PRIVACY, **server)
    return played.private_rounds.gap


def test_rows_say_what_a_round_cost_and_what_all_did():
    played = federation(FeditConfig(), num_clients=4, cohort=2, num_rounds=3, privacy=PRIVACY)
    rows = play(played).of_privacy
    accountant = Accountant(noise_multiplier=1.0, delta=1e-3)
    for round_id, row in enumerate(rows, start=1):
        accountant.add_round(num_drawn=2, num_clients=4)
        assert (row.round, row.num_drawn, row.num_candidates, row.num_merged) == (round_id, 2, 4, 2)
        assert (row.epsilon, row.delta, row.gap) == (accountant.epsilon, 1e-3, "")
        assert row.noise_std == 0.25
        assert row.median_norm > 0
        assert 0 <= row.num_clipped <= 2
    assert len(rows) == 3


def test_a_round_without_updates_costs_nothing():
    lost = {(client_id, "uplink"): "outage" for client_id in range(4)}
    played = federation(FeditConfig(), failing=lost, privacy=PRIVACY)
    assert play(played).of_privacy == []


def test_clipping_alone_has_a_closed_form():
    """Steps of 1 and 2 towards goals, at most 1 long each: x moves by their mean."""
    clip = ClientPrivacy(clip_norm=1.0, noise_multiplier=0.0)
    played = scalar_federation(
        seconds=[1.0, 1.0], goals=[0.5, 9.0], sizes=[1, 3], num_rounds=2, privacy=clip
    )
    found = values(played)
    play(played)
    # (0.5 + 1) / 2; then (-0.25 + 1) / 2 more
    assert found == pytest.approx([0.75, 1.125])


def test_noise_is_addressed_by_seed_and_round():
    one, other = (
        federation(FeditConfig(), num_rounds=2, privacy=PRIVACY, policy=AllPolicyConfig())
        for _ in range(2)
    )
    first, second = play(one), play(other)
    assert [row.mean for row in first.evaluations] == [row.mean for row in second.evaluations]


def test_gaps_are_named():
    assert gap() is None
    assert gap(policy=AllPolicyConfig()) is None
    assert gap(policy=PoissonPolicyConfig(probability=0.5)) is None
    told = gap(policy=RoundRobinPolicyConfig(num_clients=2))
    assert told == "policy round_robin does not draw clients uniformly"
    assert "depends on the clients' texts" in gap(mode=DeadlineServer, deadline_s=1e6)
    told = gap(over_selection=1.5, policy=RandomPolicyConfig(num_clients=2))
    assert "over-selection" in told
    assert "error feedback" in gap(uplink_codecs=(TopKCodec(),))
    assert gap(uplink_codecs=(TopKCodec(error_feedback=False),)) is None
    assert "go on from what they trained" in gap(PfttConfig())
    assert gap(PfttConfig(), policy=AllPolicyConfig()) is None


def test_poisson_sampling_promises_by_its_own_account_and_divides_by_the_expected_number():
    policy = PoissonPolicyConfig(probability=0.5)
    played = federation(FeditConfig(), num_clients=4, num_rounds=6, privacy=PRIVACY, policy=policy)
    rows = play(played).of_privacy
    assert len(rows) == 6
    assert len({row.num_drawn for row in rows}) > 1
    accountant = Accountant(noise_multiplier=1.0, delta=1e-3)
    for row in rows:
        accountant.add_poisson(0.5)
        assert (row.epsilon, row.gap, row.neighbours) == (
            accountant.epsilon, "", "added_or_removed"
        )  # fmt: skip
        assert row.noise_std == 0.25
        assert row.num_merged == row.num_drawn


def test_a_poisson_round_without_updates_adds_noise_and_costs_as_any():
    """Nobody is drawn, or all uploads are lost: outcomes that the account counts."""
    quiet = PoissonPolicyConfig(probability=1e-9)
    played = federation(FeditConfig(), num_rounds=2, privacy=PRIVACY, policy=quiet)
    assert [row.num_merged for row in play(played).of_privacy] == [0, 0]
    lost = {(client_id, "uplink"): "outage" for client_id in range(4)}
    policy = PoissonPolicyConfig(probability=0.5)
    played = federation(FeditConfig(), failing=lost, num_rounds=2, privacy=PRIVACY, policy=policy)
    before = played.state
    rows = play(played).of_privacy
    assert [(row.num_merged, row.num_clipped, row.median_norm) for row in rows] == [(0, 0, 0.0)] * 2
    assert played.state.version == before.version + 2
    changes = [
        (value - before.tensors[name]).double() for name, value in played.state.tensors.items()
    ]
    flat = torch.cat([each.flatten() for each in changes])
    # Of two rounds; clip_norm 0.5 over 2 clients expected.
    assert float(flat.std()) == pytest.approx(0.25 * 2**0.5, rel=0.1)


def test_where_there_is_a_gap_no_epsilon_is_told():
    policy = RoundRobinPolicyConfig(num_clients=2)
    played = federation(FeditConfig(), num_rounds=1, privacy=PRIVACY, policy=policy)
    (row,) = play(played).of_privacy
    assert row.epsilon is None
    assert row.gap == "no formal epsilon: policy round_robin does not draw clients uniformly"


def refused(mode=SyncServer, method=None, privacy=PRIVACY, num_clients=4, **server):
    policy = RandomPolicyConfig(num_clients=2)
    config = mode(num_rounds=2, policy=policy, privacy=privacy, **server)
    methods = [method or FeditConfig()]
    found = find_problems(config, num_clients=num_clients, methods=methods)
    return [(".".join(each.path), each.message) for each in found]


def test_what_cannot_be_protected_is_refused():
    assert refused() == []
    of_mode = "needs a mean of changes that all began from one version: mode sync, or deadline with"
    for mode, options in ((FedBuffServer, {"buffer_size": 2}), (HierarchicalServer, {})):
        told = dict(refused(mode, **options))
        assert told["server.privacy"].startswith(of_mode)
    (found,) = refused(method=FloraConfig())
    assert found[1].startswith("flora merges what it is sent by a rule of its own")
    (found,) = refused(method=FeditConfig(normalise_steps=True))
    assert "rescales changes after they are clipped" in found[1]
    (found,) = refused(method=LocalConfig())
    assert found[1] == "has no effect: nothing is sent by local; got client_level"
    (found,) = refused(num_clients=1000)
    assert found == ("server.privacy.delta", "must be < 1 / clients.num_clients = 0.001, got 0.001")
    with pytest.raises(ValueError, match=r"server.privacy: flora merges"):
        federation(FloraConfig(), privacy=PRIVACY)
