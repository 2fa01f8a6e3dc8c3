"""Random runs: modes, policies, faults, availability, batteries and settings all drawn."""

from collections import Counter
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import simpy

from fl.clients.availability import AVAILABILITY, AlwaysAvailable, build_availability
from fl.clients.availability.charging_wifi import ChargingWifiAvailability
from fl.clients.availability.daily import DailyWindow
from fl.clients.availability.diurnal import DiurnalAvailability
from fl.clients.availability.markov import MarkovAvailability
from fl.clients.availability.model import Always
from fl.clients.availability.trace import TraceAvailability
from fl.clients.battery import BatteryConfig
from fl.clients.devices import Devices
from fl.clients.throttling import TwoStateThrottling
from fl.execution.executor import InProcessExecutor
from fl.execution.timing_only import TimingOnlyExecutor
from fl.policies import POLICIES, build_policy
from fl.server import questions
from fl.server.faults import FaultsConfig, ServerCrash, ServerCrashRate
from fl.server.modes import MODES, run_server
from fl.server.rules import find_problems
from fl.server.staleness import ConstantDiscount, PolynomialDiscount
from fl.training.config import TrainingConfig
from tests.fl.constant_network import ConstantRateNetwork
from tests.fl.fakes import SMALLEST as METHODS
from tests.fl.fakes import Rows, federation
from tests.fl.policies.smallest import SMALLEST as POLICY_SETTINGS
from tests.fl.server.books import check_books

WORLDS_A_PAIR = 3
"""Random worlds of each mode with each policy."""
NUM_CLIENTS, COHORT, NUM_ROUNDS = 6, 3, 6
MOST_EVENTS = 100_000
"""A run that takes more hangs: the longest here take some thousand."""
ROUND_S = 0.03
"""About what a round takes where nothing goes wrong [s]."""
PLAYED_ON_S = 100 * ROUND_S
"""Time after the end in which nothing may happen [s]."""
TRAINED = TrainingConfig(local_steps=1, batch_size=4, learning_rate=5e-3)
TIMED = replace(TRAINED, mode="none")
DEVICES = ("phone_low", "phone_low", "phone_mid", "phone_high", "laptop", "jetson_nano")
KINDS = ("head", "fedsa_lora", "ffa_lora", "bitfit")
"""Methods that no mode refuses, whose clients all send something."""
IDLE_W = 0.1
COOL = TwoStateThrottling(cool_factor=2.0, cool_s=2 * ROUND_S, rest_s=10 * ROUND_S)


def policy_settings(kind, rng, *, is_always):
    """Return random settings under which somebody fits: an empty battery ends ``energy_floor``."""
    settings = POLICY_SETTINGS[kind]
    if hasattr(settings, "num_clients"):
        settings = replace(settings, num_clients=COHORT)
    knobs = {
        "fedcs": {"num_candidates": [None, 4][rng.integers(2)]},
        "knapsack": [{}, {"budget_j": None, "budget_s": 1e6}][rng.integers(2)],
        "tifl": {"num_tiers": int(rng.integers(2, 4)), "profile_rounds": int(rng.integers(1, 4))},
        "power_of_choice": {"losses": ["asked", "last"][rng.integers(2)]},
        "lyapunov": {"budget_j": float(rng.uniform(0.02, 1.0))},
        "energy_floor": {"min_fraction": [0.0, 0.2][rng.integers(2) if is_always else 0]},
        "poisson": {"probability": float(rng.uniform(0.2, 1.0))},
        "oort": {"pacer_rounds": int(rng.integers(1, 4))},
    }
    return replace(settings, **knobs.get(kind, {}))


def mode_settings(mode, policy, rng):
    over = 1.5 if hasattr(policy, "num_clients") and rng.random() < 0.5 else 1.0
    asks = policy.kind == "power_of_choice"
    downlink = "broadcast" if rng.random() < 0.3 and not asks else "unicast"
    in_rounds = {"over_selection": over, "downlink": downlink}
    late = ["dropped", "carried"][rng.integers(2)]
    discount = [ConstantDiscount(), PolynomialDiscount()][rng.integers(2)]
    enough = int(rng.integers(1, COHORT + 1))
    by = [{"num_updates": enough}, {"time_s": float(rng.uniform(0.3, 3.0)) * ROUND_S}]
    return {
        "sync": in_rounds,
        "deadline": {
            **in_rounds,
            "deadline_s": float(rng.uniform(0.4, 1.5)) * ROUND_S,
            "late": late,
            **({"discount": discount} if late == "carried" else {}),
        },
        "semi_async": {
            **[by[0], by[1], by[0] | by[1]][rng.integers(3)],
            "restart": ["aggregation", "receipt"][rng.integers(2)],
            "discount": discount,
        },
        "fedasync": {"mixes": ["model", "change"][rng.integers(2)], "discount": discount},
        "fedbuff": {"buffer_size": enough, "normalise": ["count", "weights"][rng.integers(2)]},
        "hierarchical": {"edge_rounds": int(rng.integers(1, 4))},
    }[mode]


def availability(kind, rng, folder):
    """Return settings under which clients come and leave within some rounds.

    Windows of a day begin within the first rounds of it.
    """
    if kind == "markov":
        return MarkovAvailability(
            mean_on_s=rng.uniform(1, 10) * ROUND_S, mean_off_s=rng.uniform(0.3, 3) * ROUND_S
        )
    if kind == "trace":
        path = folder / "there.csv"
        with path.open("w", encoding="utf-8") as file:
            file.write("client_id,from_s,to_s\n")
            for client_id in range(NUM_CLIENTS):
                edges_s = np.cumsum(rng.exponential(3 * ROUND_S, size=20)).tolist()
                file.writelines(
                    f"{client_id},{edges_s[at]!r},{edges_s[at + 1]!r}\n" for at in range(0, 20, 2)
                )
                file.write(f"{client_id},{edges_s[-1] + 1!r},1e12\n")
        return TraceAvailability(path=str(path))
    round_h = ROUND_S / 3600
    windows = [
        DailyWindow(
            begin_h=each * round_h, duration_h=rng.uniform(2, 6) * round_h, spread_h=round_h
        )
        for each in rng.uniform(0, 2, size=2)
    ]
    return {
        "always": AlwaysAvailable(),
        "diurnal": DiurnalAvailability(
            begin_h=windows[0].begin_h, duration_h=windows[0].duration_h, spread_h=round_h,
            probability=float(rng.uniform(0.5, 1.0)),
        ),
        "charging_wifi": ChargingWifiAvailability(charging=windows[0], wifi=windows[1]),
    }[kind]  # fmt: skip


def faults(kind, rng, *, is_daily):
    if kind == "planned":
        at_s = ROUND_S * np.cumsum(rng.uniform(0.5, 3, size=3))
        down_s = ROUND_S * rng.uniform(0.0, 0.4, size=3)
        crashes = zip(at_s.tolist(), down_s.tolist(), strict=True)
        return FaultsConfig(
            server_crashes=tuple(ServerCrash(at_s=each, down_s=down) for each, down in crashes)
        )
    if kind == "rate":
        unit_s = 3e4 if is_daily else ROUND_S
        up_s, down_s = unit_s * rng.uniform(1, 6), unit_s * rng.uniform(0.1, 1)
        return FaultsConfig(server_crash_rate=ServerCrashRate(mean_up_s=up_s, mean_down_s=down_s))
    return FaultsConfig()


def battery(rng):
    """Return settings of batteries; they charge in some worlds, at any time of the day."""
    if rng.random() < 0.5:
        return BatteryConfig(idle_w=IDLE_W, counts_waiting=bool(rng.integers(2)))
    return BatteryConfig(
        idle_w=IDLE_W,
        charging=DailyWindow(begin_h=0.0, duration_h=23.0),
        charging_w=1.0,
        return_level=1e-7,
    )


@cache
def base(kind, is_trained):
    """Return a federation of a method: what it costs is counted once for all worlds."""
    return federation(
        METHODS[kind],
        num_clients=NUM_CLIENTS,
        training=TRAINED if is_trained else TIMED,
        devices=DEVICES,
    )


def policies_of(mode):
    """The policies that a mode can have: a Poisson sample is drawn round by round."""
    return [each for each in POLICIES if each != "poisson" or mode in ("sync", "deadline")]


def drawn(mode, policy_kind, number, folder):
    """Return a federation drawn by mode, policy and number, the same whenever it is asked for."""
    address = [list(MODES).index(mode), list(POLICIES).index(policy_kind), number]
    rng = np.random.default_rng(address)
    there = list(AVAILABILITY)[rng.integers(len(AVAILABILITY))]
    policy = policy_settings(policy_kind, rng, is_always=there == "always")
    server = MODES[mode].config(
        num_rounds=NUM_ROUNDS,
        evaluate_every=NUM_ROUNDS,
        policy=policy,
        **mode_settings(mode, policy, rng),
    )
    pairs = [(each, way) for each in range(NUM_CLIENTS) for way in ("uplink", "downlink")]
    failing = rng.choice(len(pairs), size=rng.integers(3), replace=False)
    has_battery = rng.random() < 0.6
    first = base(KINDS[rng.integers(len(KINDS))], POLICIES[policy_kind].reads_loss)
    env = simpy.Environment()
    made = replace(
        first,
        env=env,
        network=ConstantRateNetwork(
            env=env,
            uplink_rate_bps=float(rng.uniform(0.5e6, 4e6)),
            downlink_rate_bps=4e6,
            transmit_w=0.5,
            receive_w=0.2,
            failing={pairs[at]: "outage" for at in failing},
            site_of={each: int(rng.integers(-1, 3)) for each in range(NUM_CLIENTS)},
        ),
        recorder=Rows(),
        server=server,
        policy=build_policy(policy),
        executor=TimingOnlyExecutor() if first.is_timing_only else InProcessExecutor(first.worker),
        devices=Devices.of(first.devices[each] for each in rng.permutation(NUM_CLIENTS)),
        throttling=[None, COOL][rng.integers(2)],
        availability=build_availability(
            availability(there, rng, folder), num_clients=NUM_CLIENTS, streams=first.streams
        ),
        battery=battery(rng) if has_battery else None,
        faults=faults(
            ["none", "planned", "rate"][rng.integers(3)],
            rng,
            is_daily=there in ("diurnal", "charging_wifi"),
        ),
    )
    if has_battery:
        made.presence.batteries._level_j[:3] = rng.uniform(0.001, 0.03, size=3)
    methods = [METHODS[each] for each in KINDS]
    assert not find_problems(made.server, num_clients=NUM_CLIENTS, methods=methods)
    return made


class Watched:
    """Runs a federation and notes what its rows do not say."""

    def __init__(self, made, patch):
        self.made = made
        self.asked_j = np.zeros(NUM_CLIENTS)
        """Joules of questions, by client."""
        self.down_s = []
        """Times when the server was away, as start and end."""
        self.merged = {}
        """What was merged in each round: client, or site, and weight."""
        start_j = np.full(NUM_CLIENTS, np.nan)
        if made.presence.batteries is not None:
            start_j = made.presence.batteries._level_j.copy()
        self.start_j = start_j
        crash, aggregate = made.presence.crash_server, type(made.method).aggregate
        end_computing = questions.end_computing

        def note_crash(*, down_s):
            self.down_s.append((made.now_s, made.now_s + down_s))
            crash(down_s=down_s)

        def note_merge(method, state, contributions):
            found = sorted((each.client_id, each.weight) for each in contributions)
            self.merged[made.num_rounds + 1] = found
            return aggregate(method, state, contributions)

        def note_question(asked, computing):
            spent_j = end_computing(asked, computing)
            self.asked_j[computing.client_id] += spent_j
            return spent_j

        made.presence.crash_server = note_crash
        patch.setattr(type(made.method), "aggregate", note_merge)
        patch.setattr(questions, "end_computing", note_question)

    def run(self):
        env = self.made.env
        process, num_events = env.process(run_server(self.made)), 0
        while process.is_alive:
            env.step()
            num_events += 1
            assert num_events < MOST_EVENTS, f"hangs at {env.now} s"
        if not process.ok:
            raise process.value
        for sent in self.made.network.transfers:
            if sent.participation_id is None:
                self.asked_j[sent.client_id] += sent.energy_j
        return self


def check_presence(watched):
    """Check that nobody computes or sends while away, nor while the server is."""
    there = watched.made.availability
    is_always = isinstance(there, Always)
    for client_id, activity, start_s, end_s, _ in watched.made.network.charges:
        if end_s == start_s:
            continue
        where = f"client {client_id} {activity} from {start_s} to {end_s} s"
        for away_s, back_s in watched.down_s:
            assert min(end_s, back_s) - max(start_s, away_s) <= 1e-9, where
        if not is_always:
            ids = np.array([client_id])
            assert there.is_available(ids, at_s=start_s)[0], where
            assert there.next_change_s(ids, after_s=start_s)[0] >= end_s - 1e-9, where


def check_merged(watched):
    """Check that what each round says it received is what was merged."""
    made = watched.made
    texts = made.roster.num_samples
    for row in made.recorder.rounds:
        parts = [part for part in made.recorder.clients if part.round == row.round]
        received = sorted(part.client_id for part in parts if part.outcome == "received")
        merged = watched.merged.get(row.round, [])
        if made.server.has_edges:
            weight = sum(texts[each] for each in set(received))
            assert sum(each for _, each in merged) == weight
        else:
            assert [client_id for client_id, _ in merged] == received


def check_batteries(watched):
    """Check that batteries hold what they held, less what was spent; never more than they can."""
    made = watched.made
    if made.battery is None:
        return
    every = np.arange(NUM_CLIENTS)
    left_j, capacity_j = made.presence.battery_j(every)
    has_battery = np.isfinite(capacity_j)
    left_j, capacity_j = left_j[has_battery], capacity_j[has_battery]
    assert (left_j >= 0).all()
    assert (left_j <= capacity_j).all()
    spent_j = made.network.client_energy_j(every, made.env.now)[has_battery]
    rest_j = watched.start_j[has_battery] - spent_j
    if made.battery.charging is not None:
        return
    assert (rest_j >= -1e-6).all()
    if made.battery.counts_waiting:
        rest_j = np.maximum(rest_j - IDLE_W * made.env.now, 0.0)
        assert left_j == pytest.approx(rest_j, rel=1e-6, abs=1e-6)
    else:
        assert (left_j <= rest_j + 1e-9).all()


def check_nothing_goes_on(made):
    """Check that nothing happens any more, although clients come and the server crashes."""
    rows, network = made.recorder, made.network
    tables = (rows.rounds, rows.clients, network.transfers, network.charges)
    before = [len(each) for each in tables]
    made.env.run(until=made.env.now + PLAYED_ON_S)
    assert [len(each) for each in tables] == before
    assert not network.running


def check_world(mode, policy, number, folder):
    """Check everything of one world; return the rows of its run."""
    with pytest.MonkeyPatch.context() as patch:
        watched = Watched(drawn(mode, policy, number, folder), patch).run()
    made = watched.made
    check_books(made, asked_j=watched.asked_j)
    check_presence(watched)
    check_merged(watched)
    check_batteries(watched)
    check_nothing_goes_on(made)
    return made.recorder


def test_there_are_modes_policies_and_kinds_of_availability_to_draw_from():
    assert len(MODES) >= 6
    assert len(POLICIES) >= 14
    assert len(AVAILABILITY) >= 5


@pytest.mark.parametrize("mode", MODES)
def test_books_are_right_in_random_worlds_under_every_policy(mode, tmp_path):
    outcomes = Counter()
    policies = policies_of(mode)
    for policy in policies:
        for number in range(WORLDS_A_PAIR):
            try:
                rows = check_world(mode, policy, number, tmp_path)
                if number == 0:
                    assert check_world(mode, policy, number, tmp_path) == rows
            except Exception as error:
                error.add_note(f"in world {number} of {mode} with {policy}")
                raise
            outcomes.update(part.outcome.split(":")[0] for part in rows.clients)
    assert sum(outcomes.values()) >= 3 * WORLDS_A_PAIR * len(policies)
    assert outcomes.keys() >= {"received", "dropped", "left", "battery_empty", "server_crashed"}
    of_mode = {
        "sync": {"surplus"},
        "deadline": {"late", "surplus", "unfinished"},
        "semi_async": {"unfinished"},
        "fedasync": {"unfinished"},
        "fedbuff": {"unfinished"},
    }
    assert outcomes.keys() >= of_mode.get(mode, set())


def test_questions_are_booked_in_every_mode_whatever_becomes_of_them(tmp_path):
    reasons = Counter()
    for mode in MODES:
        outcomes = Counter()
        for number in range(WORLDS_A_PAIR, 3 * WORLDS_A_PAIR):
            rows = check_world(mode, "power_of_choice", number, tmp_path)
            outcomes.update(asked.outcome.split(":")[0] for asked in rows.of_questions)
        assert outcomes["answered"] > 0, mode
        reasons.update(outcomes)
    assert reasons.keys() >= {"left", "battery_empty", "server_crashed", "dropped"}
