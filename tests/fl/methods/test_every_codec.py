"""Every method that sends, with every codec: it runs, is paid for what it sends, or is refused."""

from functools import cache

import pytest
import torch

from fl.codecs import CODECS, find_problems, selects
from fl.codecs.coding import Coder
from fl.methods import METHODS
from fl.policies import AllPolicyConfig
from fl.server.config import SyncServer
from fl.server.rules import find_problems as find_server_problems
from fl.training.exchange import Exchanging
from tests.fl.fakes import SMALLEST, task_of
from tests.fl.methods.recorded import recorded

SENDING = sorted(kind for kind in METHODS if SMALLEST[kind].sends)
CHAINS = [("bf16",), ("int8",), ("top_k", "int4")]
CASES = [(kind, up) for kind in SENDING for up in CHAINS]
CASES += [("fedit", (kind,)) for kind in CODECS if (kind,) not in CHAINS]


def chain_of(kinds):
    return tuple(CODECS[kind].config() for kind in kinds)


def refused(kind, **codecs):
    server = SyncServer(num_rounds=2, policy=AllPolicyConfig(), **codecs)
    found = find_server_problems(
        server, num_clients=4, methods=[SMALLEST[kind]], task=task_of(SMALLEST[kind])
    )
    return [each.message for each in found]


@cache
def run_of(kind, up):
    """A run of two rounds; what is sent down has the codec of numbers, where that can be."""
    down = tuple(each for each in chain_of(up) if each.kind != "top_k")
    codecs = {"uplink_codecs": chain_of(up), "downlink_codecs": down}
    if SMALLEST[kind].adds_up_downloads:
        codecs.pop("downlink_codecs")
    return (*recorded(kind, num_rounds=2, **codecs), codecs)


@pytest.mark.parametrize(("kind", "up"), CASES)
def test_what_is_sent_is_what_was_announced_and_paid_for(kind, up):
    if selects(chain_of(up)) and not SMALLEST[kind].merges_changes:
        (rule,) = refused(kind, uplink_codecs=chain_of(up))
        assert rule.startswith(f"{kind} merges what it is sent by a rule of its own")
        with pytest.raises(ValueError, match=r"server.uplink_codecs: .*int8 would do"):
            run_of(kind, up)
        return
    played, method, codecs = run_of(kind, up)
    assert refused(kind, **codecs) == []
    assert [row.num_received for row in played.recorder.rounds] == [4, 4]
    if isinstance(played.procedure, Exchanging):  # bytes within jobs are not coded
        return
    up_coder, down_coder = Coder(chain_of(up)), Coder(codecs.get("downlink_codecs", ()))
    for version in range(2):
        contributions = method.contributions[version]
        sent_up = {
            each.client_id: up_coder.shapes(each.payload).size_bytes for each in contributions
        }
        assert played.recorder.rounds[version].uplink_bytes == sum(sent_up.values())
        sent_down = [
            (down_coder.shapes(payload) if down_coder.chain else payload).size_bytes
            for client_id, payload in method.downloads[version].items()
        ]
        assert played.recorder.rounds[version].downlink_bytes == sum(sent_down)
        for each in contributions:
            assert all(torch.isfinite(tensor).all() for tensor in each.payload.tensors.values())
    plain = sum(each.payload.size_bytes for each in method.contributions[0])
    if plain > 10_000:  # scales, places and their names weigh more than small tensors
        assert played.recorder.rounds[0].uplink_bytes < plain


@pytest.mark.parametrize("kind", SENDING)
def test_coding_repeats_to_the_bit(kind):
    again = recorded(kind, num_rounds=2, **run_of(kind, ("int8",))[2])
    for one, other in zip(
        run_of(kind, ("int8",))[1].contributions, again[1].contributions, strict=True
    ):
        for first, second in zip(one, other, strict=True):
            assert all(
                torch.equal(tensor, second.payload.tensors[name])
                for name, tensor in first.payload.tensors.items()
            )


@pytest.mark.parametrize("kind", ["flora", "fedex_lora"])
def test_clients_that_add_up_what_they_are_sent_get_it_uncoded(kind):
    (rule,) = refused(kind, downlink_codecs=chain_of(("int8",)))
    told = f"clients of {kind} add up what they are sent, and with it what codecs change"
    assert rule == f"{told}; got int8, needs none"


def test_nothing_sent_is_nothing_coded():
    found = refused(
        "local",
        uplink_codecs=chain_of(("int8",)),
        downlink_codecs=chain_of(("fp16",)),
        tensor_names="agreed",
    )
    rule = "has no effect: nothing is sent by local"
    assert found == [f"{rule}; got int8", f"{rule}; got fp16", f"{rule}; got agreed"]


def test_weights_are_never_sent_in_part():
    assert find_problems(chain_of(("top_k",)), is_of_changes=False, path=())
    (rule,) = refused("fedit", downlink_codecs=chain_of(("top_k",)))
    assert rule.startswith("codes changes, what is sent here is weights")
