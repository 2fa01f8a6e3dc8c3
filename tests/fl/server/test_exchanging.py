"""A job that goes to the server and back in each step: seconds, joules, and where it ends."""

from collections import Counter
from dataclasses import dataclass

import pytest

from fl.clients.battery import BatteryConfig
from fl.clients.throttling import TwoStateThrottling
from fl.methods.splitlora.config import SplitloraConfig
from fl.policies.power_of_choice import PowerOfChoicePolicyConfig
from fl.server.modes import run_server
from fl.server.participation import Participation
from tests.fl.fakes import federation
from tests.fl.server import test_random_worlds as random_worlds
from tests.fl.watching import watch_training

UP_BPS, DOWN_BPS = 1e6, 4e6
TRANSMIT_W, RECEIVE_W, COMPUTE_W = 0.5, 0.2, 3.0
SERVER_FLOP_PER_S = 1e9


@dataclass
class Leg:
    """One part of a participation, as it should be."""

    kind: str
    seconds: float
    step: int


class Played:
    """A participation of client 1, and the parts that it should have, in order."""

    def __init__(self, **options):
        config = SplitloraConfig(server_flop_per_s=SERVER_FLOP_PER_S)
        settings = {"num_clients": 2, "devices": ["laptop", "phone_mid"], **options}
        self.federation = federation(config, **settings)
        self.env, self.network = self.federation.env, self.federation.network
        self.dropped = []
        watch_training(self.federation, self.watch)
        self.exchanges = self.planned()
        self.legs = self.expected()

    def watch(self, job, handle):
        drop = handle.drop
        handle.drop = lambda: (self.dropped.append(job.client_id), drop())

    def planned(self):
        made = self.federation
        download = made.method.download(made.state, client_id=1)
        self.size_bytes = download.size_bytes
        start = made.method.start(download, {}, version=0)
        plan = made.procedure.plan(made.shards[1].train, seed=made.job_seed(1, 1))
        return made.procedure.exchanges(plan, start, made.cost)

    def expected(self):
        speed = self.federation.devices[1].speed.flop_per_s
        legs = [Leg("downlink", self.size_bytes * 8 / DOWN_BPS, -1)]
        for step, each in enumerate(self.exchanges):
            legs += [
                Leg("compute", each.before.flop / speed, step),
                Leg("uplink", each.uplink_bytes * 8 / UP_BPS, step),
                Leg("server", each.server_flop / SERVER_FLOP_PER_S, step),
                Leg("downlink", each.downlink_bytes * 8 / DOWN_BPS, step),
                Leg("compute", each.after.flop / speed, step),
            ]
        return [*legs, Leg("uplink", self.size_bytes * 8 / UP_BPS, len(self.exchanges))]

    def seconds(self, kind, legs=None):
        return sum(leg.seconds for leg in (self.legs if legs is None else legs) if leg.kind == kind)

    def begin(self, **options):
        self.part = Participation(
            self.federation, participation_id=5, client_id=1, round_id=1, **options
        )
        return self.part

    def run(self, at_s=None):
        self.env.run(until=self.part.done if at_s is None else at_s)


def test_a_client_takes_what_its_steps_take():
    """Closed form: the sum over steps of computing, bytes over rates, and the server's time."""
    played = Played()
    part = played.begin()
    played.run()
    assert part.outcome == "received"
    assert len(played.exchanges) == 3
    total_s = sum(leg.seconds for leg in played.legs)
    assert played.env.now == pytest.approx(total_s, rel=1e-12)
    assert part.compute_s == pytest.approx(played.seconds("compute"), rel=1e-9)
    assert part.upload_s == pytest.approx(played.seconds("uplink"), rel=1e-12)
    down_s = played.seconds("downlink")
    assert part.download_s == pytest.approx(down_s + played.seconds("server"), rel=1e-12)
    assert part.compute_j == pytest.approx(COMPUTE_W * part.compute_s, rel=1e-9)
    radio_j = TRANSMIT_W * part.upload_s + RECEIVE_W * down_s
    assert part.radio_j == pytest.approx(radio_j, rel=1e-12)
    spent_j = played.network.total_energy_j(played.env.now)
    assert spent_j == pytest.approx(part.radio_j + part.compute_j, rel=1e-9)


def test_bytes_are_those_of_the_exchanges_and_of_the_models():
    played = Played()
    part = played.begin()
    played.run()
    made = played.exchanges
    assert part.uplink_bytes == played.size_bytes + sum(each.uplink_bytes for each in made)
    assert part.downlink_bytes == played.size_bytes + sum(each.downlink_bytes for each in made)
    directions = [each.direction for each in played.network.transfers]
    assert directions == ["downlink", *["uplink", "downlink"] * 3, "uplink"]
    assert {each.participation_id for each in played.network.transfers} == {5}


@pytest.mark.parametrize("at", range(17))
def test_stopped_in_any_part_it_ends_there(at):
    """Half of a part: its outcome names it, what was spent is booked, the job never runs."""
    played = Played()
    assert len(played.legs) == 17
    before, now = played.legs[:at], played.legs[at]
    half_s = now.seconds / 2
    begin_s = sum(leg.seconds for leg in before)
    part = played.begin()
    played.run(begin_s + half_s)
    part.stop("enough")
    played.run()
    assert played.env.now == pytest.approx(begin_s + half_s, rel=1e-12)
    assert part.outcome == f"enough:{now.kind}"
    spent = {
        kind: played.seconds(kind, before) + half_s * (kind == now.kind)
        for kind in ("compute", "uplink", "downlink")
    }
    assert part.compute_j == pytest.approx(COMPUTE_W * spent["compute"], rel=1e-6, abs=1e-12)
    radio_j = TRANSMIT_W * spent["uplink"] + RECEIVE_W * spent["downlink"]
    assert part.radio_j == pytest.approx(radio_j, rel=1e-9)
    assert played.dropped == ([] if at == 0 else [1])
    assert played.federation.executor.num_computed == 0
    has_computed = at == 16
    assert (part.compute_s is not None) == has_computed
    assert part.upload_s is None
    row = part.row(staleness=0)
    assert row.wasted_j == part.compute_j + part.radio_j


def test_a_lost_exchange_ends_the_participation():
    played = Played(failing={(1, "uplink"): "outage"})
    part = played.begin()
    played.run()
    assert part.outcome == "dropped:uplink:outage"
    assert [each.direction for each in played.network.transfers] == ["downlink", "uplink"]
    assert played.dropped == [1]
    assert (part.compute_s, part.upload_s) == (None, None)
    assert part.compute_j > 0


def test_exchanges_are_told_the_deadline():
    played = Played()
    until = 3  # in the first exchange up
    at_s = sum(leg.seconds for leg in played.legs[:until]) - played.legs[until - 1].seconds / 2
    part = played.begin(deadline_at_s=at_s)
    played.run()
    assert part.outcome == "late:uplink"
    assert played.env.now == pytest.approx(at_s, rel=1e-12)


def test_a_device_cools_down_while_it_exchanges():
    """All of a step's rest is given back here, so each piece of computing begins cool."""
    played = Played()
    pieces = [leg.seconds for leg in played.legs if leg.kind == "compute"]
    throttling = TwoStateThrottling(
        cool_factor=2.0, cool_s=sum(pieces), rest_s=played.legs[2].seconds / 10
    )
    cool = Played(throttling=throttling)
    part = cool.begin()
    cool.run()
    assert part.compute_s == pytest.approx(sum(pieces) / 2, rel=1e-6)
    assert part.compute_j == pytest.approx(COMPUTE_W * sum(pieces), rel=1e-6)


@pytest.mark.parametrize("at", [2, 3, 7, 9])
def test_a_battery_runs_out_within_a_job(at):
    """Half of a part: waiting for the server draws what an idle client draws."""
    idle_w = 0.1
    played = Played(battery=BatteryConfig(idle_w=idle_w, counts_waiting=False))
    watts = {"compute": COMPUTE_W, "uplink": TRANSMIT_W, "downlink": RECEIVE_W, "server": 0.0}
    before, now = played.legs[:at], played.legs[at]
    empty_at_s = sum(leg.seconds for leg in before) + now.seconds / 2
    spent_j = sum(leg.seconds * watts[leg.kind] for leg in before)
    spent_j += now.seconds / 2 * watts[now.kind]
    played.federation.presence.batteries._level_j[1] = spent_j + idle_w * empty_at_s
    part = played.begin()
    played.run()
    assert part.outcome == f"battery_empty:{now.kind}"
    assert played.env.now == pytest.approx(empty_at_s, rel=1e-6)


def test_policies_that_ask_for_losses_are_refused():
    policy = PowerOfChoicePolicyConfig(num_clients=2, num_candidates=3)
    with pytest.raises(ValueError, match=r"^server\.policy: must not ask clients for losses, spl"):
        federation(SplitloraConfig(), policy=policy)


def test_a_cut_above_the_blocks_is_refused_in_a_line():
    with pytest.raises(ValueError, match=r"^cut_layer: must be <= 2, the blocks of the model, got"):
        federation(SplitloraConfig(cut_layer=3))


def test_others_contend_with_the_exchanges_of_a_round():
    """Two clients of a round: the transfers of both are on the network, each for itself."""
    played = federation(SplitloraConfig(), num_clients=2, cohort=2, num_rounds=1)
    played.env.run(until=played.env.process(run_server(played)))
    row = played.recorder.rounds[0]
    sent = played.network.transfers
    assert row.num_received == 2
    assert row.uplink_bytes == sum(each.size_bytes for each in sent if each.direction == "uplink")
    assert len(sent) == 2 * (2 + 2 * 3)


@pytest.mark.parametrize("mode", sorted(set(random_worlds.MODES) - {"hierarchical"}))
def test_books_are_right_in_random_worlds(mode, monkeypatch, tmp_path):
    """Clients that leave, empty batteries, lost transfers, crashes: under every policy but those
    that ask."""
    config = SplitloraConfig(server_flop_per_s=2e8)
    methods = {**random_worlds.METHODS, "splitlora": config}
    for name, value in (("KINDS", ("splitlora",)), ("METHODS", methods), ("ROUND_S", 0.1)):
        monkeypatch.setattr(random_worlds, name, value)
    outcomes = Counter()
    for policy in sorted({*random_worlds.policies_of(mode)} - {"power_of_choice", "tifl"}):
        rows = random_worlds.check_world(mode, policy, 10, tmp_path)
        outcomes.update(part.outcome.partition(":")[0] for part in rows.clients)
    assert sum(outcomes.values()) > 100
    assert outcomes.keys() >= {"received", "dropped", "left"}
