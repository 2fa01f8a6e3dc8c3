"""What holds for every server mode in the table, with every method that it does not refuse."""

from dataclasses import replace
from functools import cache

import pytest
import simpy

from fl.clients.devices import Devices
from fl.execution.executor import InProcessExecutor
from fl.methods import METHODS
from fl.methods.base import HoldsAtServer
from fl.policies import RandomPolicyConfig
from fl.server.modes import MODES, run_server
from fl.server.rules import find_problems
from fl.training.config import TrainingConfig
from tests.fl.constant_network import ConstantRateNetwork
from tests.fl.fakes import SMALLEST, Rows, federation
from tests.fl.server.books import check_books

KINDS = sorted(METHODS)
COHORT, NUM_CLIENTS, NUM_ROUNDS = 3, 4, 3
SETTINGS = {
    "sync": {"over_selection": 1.3},
    "deadline": {"deadline_s": 0.5, "late": "carried"},
    "semi_async": {"num_updates": 2, "time_s": 0.5},
    "fedasync": {},
    "fedbuff": {"buffer_size": 2},
    "hierarchical": {"edge_rounds": 2},
}
"""Settings of each mode under which something is left under way, late or too many; seconds are in
units of a synchronous round."""
DEVICES = ["phone_low", "laptop", "phone_mid", "phone_high"]
ALL_LOST = {(client_id, "uplink"): "outage" for client_id in range(NUM_CLIENTS)}


def config_of(mode, *, unit_s, **settings):
    shared = {
        "num_rounds": NUM_ROUNDS,
        "evaluate_every": NUM_ROUNDS,
        "policy": RandomPolicyConfig(num_clients=COHORT),
    }
    in_units = {
        key: value * unit_s if key.endswith("_s") else value
        for key, value in SETTINGS[mode].items()
    }
    return MODES[mode].config(**{**shared, **in_units, **settings})


def refusals(mode, kind, **settings):
    config = config_of(mode, unit_s=1.0, **settings)
    return find_problems(config, num_clients=NUM_CLIENTS, methods=[SMALLEST[kind]])


@cache
def base(kind):
    training = TrainingConfig(local_steps=1, batch_size=4, learning_rate=5e-3)
    return federation(
        SMALLEST[kind], num_clients=NUM_CLIENTS, training=training, devices=DEVICES, num_texts=80
    )


@cache
def round_s(kind):
    """Return the seconds of the first synchronous round of all clients of a method."""
    made = played("sync", kind, unit_s=1.0, over_selection=1.0, num_rounds=1, evaluate_every=1)
    return made.recorder.rounds[0].finished_at_s


def played(mode, kind, *, failing=None, unit_s=None, devices=None, **settings):
    """Return a federation of this mode and method that has run to its end."""
    env = simpy.Environment()
    network = ConstantRateNetwork(
        env=env,
        uplink_rate_bps=1e6,
        downlink_rate_bps=4e6,
        transmit_w=0.5,
        receive_w=0.2,
        failing=failing or {},
        site_of={0: 0, 1: 1, 2: 1, 3: -1},
    )
    first = base(kind)
    made = replace(
        first,
        env=env,
        network=network,
        recorder=Rows(),
        server=config_of(mode, unit_s=unit_s or round_s(kind), **settings),
        devices=devices or first.devices,
        executor=InProcessExecutor(first.worker),
    )
    env.run(until=env.process(run_server(made)))
    return made


def test_there_is_a_setting_for_every_mode():
    assert SETTINGS.keys() == MODES.keys()
    assert len(MODES) >= 5
    assert len(KINDS) >= 10


@pytest.mark.parametrize("kind", KINDS)
def test_a_method_runs_or_is_refused_with_the_reason(kind):
    for mode in MODES:
        problems = refusals(mode, kind)
        if problems:
            (problem,) = problems
            assert problem.path == ("server", "mode")
            assert f"{kind}: " in problem.message
            assert problem.message.split("; got ")[1].startswith(mode)
            continue
        made = played(mode, kind)
        check_books(made)


def test_methods_that_average_run_in_all_modes_and_others_do_not():
    runs = {kind for kind in KINDS if not any(refusals(mode, kind) for mode in MODES)}
    assert {"full", "head", "fedsa_lora", "ffa_lora", "bitfit", "pftt", "local"} <= runs
    assert not runs & {"rolora", "fedtt_plus", "fedamole", "flora", "hetlora", "fedit", "fedtt"}
    assert not refusals("fedbuff", "fedit")
    assert not refusals("hierarchical", "flexlora")
    assert not refusals("hierarchical", "fedit", averages="products")
    for kind in KINDS:
        assert not refusals("sync", kind)
        assert not refusals("deadline", kind, late="dropped")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["head", "fedsa_lora"])
def test_the_same_twice(mode, kind):
    first, second = played(mode, kind), played(mode, kind)
    assert first.recorder == second.recorder
    is_stale = any(part.staleness > 0 for part in first.recorder.clients)
    assert is_stale == first.server.merges_stale
    for name, value in first.state.tensors.items():
        assert value.equal(second.state.tensors[name])


@pytest.mark.parametrize("mode", MODES)
def test_clients_that_all_end_at_the_same_instant_give_the_same_rows_twice(mode):
    devices = Devices.of([base("head").devices[1]] * NUM_CLIENTS)
    first, second = (played(mode, "head", devices=devices) for _ in range(2))
    assert first.recorder == second.recorder


@pytest.mark.parametrize("mode", MODES)
def test_a_run_ends_when_every_upload_is_lost(mode):
    made = played(mode, "head", failing=ALL_LOST)
    assert len(made.recorder.rounds) == NUM_ROUNDS
    assert made.state.version == 0
    assert made.executor.num_computed == 0
    check_books(made)


@pytest.mark.parametrize("mode", MODES)
def test_a_run_ends_at_its_targets_with_nothing_under_way(mode):
    made = played(mode, "head", targets={"accuracy": 1e-9}, stop_at_targets=True, evaluate_every=2)
    assert len(made.recorder.rounds) in (0, 2)
    check_books(made)


def test_a_deadline_stops_at_its_instant():
    made = played("deadline", "head", late="dropped", deadline_s=1e-3)
    instants = [row.finished_at_s for row in made.recorder.rounds]
    assert instants == pytest.approx([1e-3, 2e-3, 3e-3], abs=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_traits_of_the_settings_are_those_of_the_method(kind):
    config, method = SMALLEST[kind], base(kind).method
    assert config.merges_changes == (method.merges == "mean")
    assert config.takes_turns == (getattr(method, "schedule", None) is not None)
    names = method.initial_state().tensors.keys()
    factors = {name.rpartition(".")[2] for name in names if "lora_" in name}
    has_both = {"lora_A", "lora_B"} <= factors or any(".cores." in name for name in names)
    assert config.averages_factors == (has_both and method.merges != "products")
    is_mean = method.merges in ("mean", "products") and not config.takes_turns
    is_mean = is_mean and not isinstance(method, HoldsAtServer)  # sites have no part of it
    assert config.can_average_products == (is_mean and {"lora_A", "lora_B"} <= factors)
