"""Rules of merging on one number; where frameworks deviate from the papers, ours does not."""

import pytest
import torch

from fl.methods.averaging import AveragingMethod
from fl.methods.base import Contribution, ServerState
from fl.methods.options import AveragingOptions, FedAvgM
from fl.payload import Payload
from fl.server.merging import buffered, discounted, mixed, rebased
from fl.server.staleness import ConstantDiscount, HingeDiscount, PolynomialDiscount

HALF = PolynomialDiscount(exponent=0.5)
STATE_X = 10.0


def number(value, dtype=torch.float64):
    return {"x": torch.tensor(value, dtype=dtype)}


def state(x=STATE_X, dtype=torch.float64):
    return ServerState(version=5, tensors=number(x, dtype))


def update(value, base, *, staleness, client_id=0, weight=1.0):
    return Contribution(
        client_id=client_id,
        payload=Payload(number(value)),
        weight=weight,
        staleness=staleness,
        base=number(base),
    )


def merged(rule, updates, *, options=None, x=STATE_X):
    """Return ``x`` after the updates went through a rule and were averaged."""
    method = AveragingMethod(
        kind="scalar", initial=number(0.0), shared=("x",), options=options or AveragingOptions()
    )
    after = method.aggregate(state(x), [rule(state(x), each) for each in updates])
    assert after.version == 6
    return float(after.tensors["x"])


def test_a_stale_update_is_moved_to_the_present_tensors_and_a_fresh_one_is_left_as_it_is():
    stale = update(3.0, 1.0, staleness=2)
    moved = rebased(state(), stale)
    assert float(moved.payload.tensors["x"]) == STATE_X + 2
    assert float(moved.base["x"]) == STATE_X
    assert (moved.staleness, moved.weight, moved.client_id) == (2, 1.0, 0)
    fresh = update(12.0, STATE_X, staleness=0)
    assert rebased(state(), fresh) is fresh


@pytest.mark.parametrize(
    ("discount", "staleness", "s"),
    [
        (ConstantDiscount(), 7, 1.0),
        (HALF, 0, 1.0),
        (HALF, 3, 0.5),
        (HingeDiscount(slope=10.0, delay=4), 4, 1.0),
        (HingeDiscount(slope=10.0, delay=4), 5, 1 / 11),
    ],
)
@pytest.mark.parametrize("alpha", [0.6, 1.0])
def test_fedasync_is_the_mixture_of_the_paper(discount, staleness, s, alpha):
    """``(1 - a) 10 + a 4`` with ``a = alpha s``, whatever the client began from."""

    def rule(state, each):
        return mixed(state, each, alpha=alpha, discount=discount, of="model")

    found = merged(rule, [update(4.0, 1.0, staleness=staleness)])
    assert found == pytest.approx((1 - alpha * s) * 10 + alpha * s * 4, rel=1e-14)


def test_fedasync_may_add_the_change_that_the_client_made():
    def rule(state, each):
        return mixed(state, each, alpha=0.6, discount=HALF, of="change")

    assert merged(rule, [update(4.0, 1.0, staleness=3)]) == pytest.approx(10 + 0.6 * 0.5 * 3)


def test_alpha_does_not_decay():
    """Deviation of Plato, which multiplies the stored alpha by s(tau) every round."""

    def rule(state, each):
        return mixed(state, each, alpha=0.5, discount=HALF, of="model")

    for _ in range(20):
        merged(rule, [update(4.0, 1.0, staleness=8)])
    assert merged(rule, [update(4.0, 10.0, staleness=0)]) == 7.0


TWO = [update(5.0, 1.0, staleness=3), update(16.0, 10.0, staleness=0, client_id=1, weight=9.0)]
"""Changes of 4 with s = 0.5 and of 6 with s = 1; sample counts of 1 and 9."""


def fedbuff(normalise, *, discount=HALF, server_learning_rate=1.0):
    def rule(state, each):
        return buffered(
            state,
            each,
            server_learning_rate=server_learning_rate,
            discount=discount,
            normalise=normalise,
        )

    return rule


@pytest.mark.parametrize("rate", [1.0, 0.25])
def test_fedbuff_divides_by_the_number_or_by_the_sum_of_discounts(rate):
    by_count = merged(fedbuff("count", server_learning_rate=rate), TWO)
    assert by_count == pytest.approx(10 + rate * (0.5 * 4 + 6) / 2, rel=1e-14)
    by_weights = merged(fedbuff("weights", server_learning_rate=rate), TWO)
    assert by_weights == pytest.approx(10 + rate * (0.5 * 4 + 6) / 1.5, rel=1e-14)


def test_fedbuff_divides_by_the_same_number_when_nothing_is_stale():
    fresh = [update(14.0, 10.0, staleness=0), update(16.0, 10.0, staleness=0, client_id=1)]
    found = {merged(fedbuff(each), fresh) for each in ("count", "weights")}
    assert found == {15.0}


def test_fedbuff_counts_a_stale_change_less():
    """Deviation of Plato and FLGo, whose FedBuff is the plain mean: 10 + (4 + 6) / 2."""
    assert merged(fedbuff("count"), TWO) == 14.0
    assert merged(fedbuff("count", discount=ConstantDiscount()), TWO) == 15.0


def test_fedbuff_merges_changes_not_models():
    """Deviation of FedScale: a mean of the models 5 and 16 would pull 10 towards their values.

    Two clients that changed nothing change nothing, however old what they began from.
    """
    idle = [update(1.0, 1.0, staleness=3), update(-7.0, -7.0, staleness=9, client_id=1)]
    assert merged(fedbuff("count"), idle) == STATE_X
    assert merged(fedbuff("weights"), idle) == pytest.approx(STATE_X, rel=1e-15)


def test_the_step_of_a_discounted_mean_does_not_shrink_with_staleness():
    """Deviation of FederatedScope, whose discounts are not normalised: 10 + s (4 + 6) / 2.

    By hand: weights 1 x 0.5 and 9 x 1 of the changes 4 and 6; equal staleness cancels out.
    """

    def rule(state, each):
        return discounted(state, each, discount=HALF)

    assert merged(rule, TWO) == pytest.approx(10 + (0.5 * 4 + 9 * 6) / 9.5, rel=1e-14)
    equal = [update(5.0, 1.0, staleness=3), update(7.0, 1.0, staleness=3, client_id=1)]
    assert merged(rule, equal) == pytest.approx(15.0, rel=1e-14)


def test_a_server_optimiser_steps_by_the_mean_that_the_rule_gives():
    """FedAvgM of learning rate 0.5 without momentum yet: half the way of FedBuff's step of 4."""
    options = AveragingOptions(server_optimiser=FedAvgM(learning_rate=0.5, momentum=0.9))
    assert merged(fedbuff("count"), TWO, options=options) == pytest.approx(12.0, rel=1e-14)


def test_types_of_tensors_stay():
    single = Contribution(
        client_id=0,
        payload=Payload(number(3.0, torch.float32)),
        weight=1.0,
        staleness=1,
        base=number(1.0, torch.float32),
    )
    moved = rebased(state(dtype=torch.float32), single)
    assert moved.payload.tensors["x"].dtype == torch.float32
    assert float(moved.payload.tensors["x"]) == STATE_X + 2
