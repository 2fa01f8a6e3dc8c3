"""Secure aggregation in a federation: the same mean, more bytes, and lost where too few answer."""

import pytest
import torch

from fl.codecs.int8 import Int8Codec
from fl.methods.fedamole.config import FedamoleConfig
from fl.methods.fedit.config import FeditConfig
from fl.methods.local.config import LocalConfig
from fl.methods.splitlora.config import SplitloraConfig
from fl.policies import RandomPolicyConfig
from fl.privacy.config import ClientPrivacy, SecureAggregation
from fl.server.config import FedBuffServer, SyncServer
from fl.server.rules import find_problems
from tests.fl.fakes import federation
from tests.fl.server.scalar import play, scalar_federation, values

SECURE = SecureAggregation()


def played(secure=SECURE, **options):
    made = federation(
        FeditConfig(), num_clients=4, cohort=4, num_rounds=2, secure_aggregation=secure, **options
    )
    play(made)
    return made


@pytest.mark.parametrize("failing", [{}, {(1, "uplink"): "outage"}])
def test_the_mean_is_that_of_the_same_updates(failing):
    plain, secure = played(None, failing=failing), played(failing=failing)
    for name, tensor in plain.state.tensors.items():
        assert torch.allclose(tensor, secure.state.tensors[name], atol=1e-6)
        assert not torch.equal(tensor, plain.method.initial_state().tensors[name])


def test_with_noise_the_sum_is_still_that_of_the_clipped():
    privacy = ClientPrivacy(clip_norm=0.3, noise_multiplier=0.5)
    plain, secure = played(None, privacy=privacy), played(privacy=privacy)
    for name, tensor in plain.state.tensors.items():
        assert torch.allclose(tensor, secure.state.tensors[name], atol=1e-6)
    rows = [each.recorder.of_privacy[-1].epsilon for each in (plain, secure)]
    assert rows[0] == rows[1]


def test_changes_beyond_the_largest_are_cut_off():
    secure = SecureAggregation(largest_change=1.0)
    made = scalar_federation(
        seconds=[1.0, 1.0], goals=[0.5, 9.0], num_rounds=1, secure_aggregation=secure
    )
    found = values(made)
    play(made)
    assert found == pytest.approx([0.75], abs=1e-6)


def test_bytes_by_hand():
    plain, secure = played(None), played()
    num = sum(each.numel() for each in plain.state.tensors.values())
    up = plain.coding.upload_bytes(plain.state.payload)
    for before, after in zip(plain.recorder.rounds, secure.recorder.rounds, strict=True):
        # keys and 3 sealed pairs of shares, and 4 shares at the end; numbers of 4 bytes as before
        assert after.uplink_bytes - before.uplink_bytes == 4 * (64 + 3 * 82 + 4 * 33)
        assert after.downlink_bytes - before.downlink_bytes == 4 * (3 * (64 + 82) + 4 * 4)
        assert before.uplink_bytes == 4 * up
    narrow = played(SecureAggregation(bits=16)).recorder.rounds[0].uplink_bytes
    saved = secure.recorder.rounds[0].uplink_bytes - narrow
    assert abs(saved - 4 * 2 * num) <= 4 * 0.1 * up


def test_masks_take_time_and_joules():
    plain, secure = (played(each).recorder for each in (None, SECURE))
    for before, after in zip(plain.clients, secure.clients, strict=True):
        assert after.compute_s > before.compute_s
        assert after.compute_j > before.compute_j
        assert after.radio_j > before.radio_j


def test_where_too_few_answer_the_round_has_no_sum():
    secure = SecureAggregation(threshold=0.8)
    made = played(secure, failing={(1, "uplink"): "outage"})
    outcomes = {row.outcome for row in made.recorder.clients}
    assert outcomes == {"dropped:uplink:outage", "unmasking:merge"}
    assert [row.num_received for row in made.recorder.rounds] == [0, 0]
    assert made.state.version == 0
    assert made.executor.num_computed == 0
    assert all(row.wasted_j == row.compute_j + row.radio_j for row in made.recorder.clients)


def refused(mode=SyncServer, method=None, **server):
    policy = RandomPolicyConfig(num_clients=2)
    config = mode(num_rounds=2, policy=policy, secure_aggregation=SECURE, **server)
    found = find_problems(config, num_clients=4, methods=[method or FeditConfig()])
    return [each.message for each in found if each.path == ("server", "secure_aggregation")]


def test_what_the_server_must_read_one_by_one_is_refused():
    assert refused() == []
    (rule,) = refused(method=FedamoleConfig())
    assert rule.startswith("the server must read the updates of fedamole one by one")
    (rule,) = refused(method=SplitloraConfig())
    assert (
        rule
        == "hides nothing with splitlora, whose server is sent activations of texts; needs none"
    )
    (rule,) = refused(method=FeditConfig(normalise_steps=True))
    assert "needs each change" in rule
    (rule,) = refused(method=LocalConfig())
    assert rule == "has no effect: nothing is sent by local"
    (rule,) = refused(FedBuffServer, buffer_size=2)
    assert rule.startswith("needs clients that begin together")
    (rule,) = refused(uplink_codecs=(Int8Codec(),))
    assert rule.endswith("masked numbers are of its own bits; got int8")
    with pytest.raises(ValueError, match=r"server.secure_aggregation: .* fedamole one by one"):
        federation(FedamoleConfig(), secure_aggregation=SECURE)
