"""What clients hold of their own: of received updates, and of updates that were lost."""

import pytest
import torch

from fl.execution.run_job import run_job
from fl.methods.fdlora.config import FdloraConfig
from fl.methods.fedamole.config import FedamoleConfig
from fl.methods.fedit.config import FeditConfig
from fl.methods.fedsa_lora.config import FedsaLoraConfig
from fl.server.modes import sync
from fl.server.personal import PersonalTensors
from tests.fl.fakes import SMALLEST, federation
from tests.fl.methods.updates import installed
from tests.fl.watching import watch_training

CONFIGS = {
    **{kind: SMALLEST[kind] for kind in (
        "fedsa_lora", "pftt", "fdlora", "fedamole", "rolora", "fedtt_plus", "flora", "hetlora",
        "fedalt",
        "fedex_lora",
    )},
    "fdlora": FdloraConfig(sync_every=1),
    "fedamole_head": FedamoleConfig(head="personal", evaluation="dispatched"),
}  # fmt: skip
TRAINS_FOR_ITSELF = {"fedsa_lora", "pftt", "fdlora", "fedamole", "fedamole_head", "fedalt"}


class Handle:
    """A job whose result is made up; it counts what is asked of it."""

    def __init__(self, tensors):
        self.asked = self.dropped = 0
        self.tensors = tensors

    def result(self):
        self.asked += 1
        return self

    def drop(self):
        self.dropped += 1


def test_an_untrained_client_holds_its_first_values():
    method, _ = installed(FedsaLoraConfig())
    personal = PersonalTensors(method)
    assert 3 not in personal
    assert personal.of(3) == method.initial_personal(3)
    assert 3 not in personal


def test_lost_work_runs_when_it_is_asked_for_and_once():
    method, _ = installed(FedsaLoraConfig())
    personal = PersonalTensors(method)
    handle = Handle({name: value + 2.0 for name, value in method.initial.items()})
    personal.keep_unsent(3, handle)
    assert 3 in personal
    assert (handle.asked, handle.dropped) == (0, 0)
    first = method.initial_personal(3)
    for _ in range(2):
        held = personal.of(3)
        assert held.keys() == first.keys()
        assert all(torch.equal(held[name], first[name] + 2.0) for name in held)
    assert (handle.asked, handle.dropped) == (1, 1)
    assert personal.of(4) == method.initial_personal(4)


def test_lost_work_that_trained_nothing_for_the_client_is_dropped():
    method, _ = installed(FeditConfig())
    personal = PersonalTensors(method)
    handle = Handle({})
    personal.keep_unsent(3, handle)
    assert (handle.asked, handle.dropped) == (0, 1)
    assert 3 not in personal


@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_a_lost_upload_leaves_the_client_what_it_trained_for_itself_and_nothing_else(name):
    """All is well in round 1, the upload of client 2 is lost in round 2, all is well in round 3."""
    played = federation(CONFIGS[name], num_clients=4, cohort=4)
    failing, jobs = played.network.failing, {}
    watch_training(played, lambda job, handle: jobs.update({(job.round, job.client_id): job}))
    method = played.method

    def play(round_id):
        played.env.run(until=played.env.process(sync.run_round(played, round_id)))

    play(1)
    before = played.personal.of(2)
    failing[2, "uplink"] = "outage"
    computed = played.executor.num_computed
    play(2)
    assert played.executor.num_computed == computed + 3  # nobody has asked for the lost one
    trained = method.personal(run_job(jobs[2, 2], played.worker).tensors)
    held = played.personal.of(2)
    is_kept = name in TRAINS_FOR_ITSELF
    assert bool(method.self_trained) == is_kept
    assert held.keys() == before.keys()
    for key, value in held.items():
        if key in method.self_trained:
            assert torch.equal(value, trained[key])
        else:
            assert value is before[key]
    has_moved = any(not torch.equal(held[key], before[key]) for key in held)
    assert has_moved == is_kept
    assert played.executor.num_computed == computed + 3 + is_kept
    failing.clear()
    state = played.state
    play(3)
    assert played.recorder.clients[-2].outcome == "received"
    if name in ("rolora", "fedtt_plus", "flora"):  # the start is the server's, to the bit
        start = jobs[3, 2].start.tensors
        common = state.tensors.keys() & start.keys()
        assert common
        assert all(torch.equal(start[key], state.tensors[key]) for key in common)
