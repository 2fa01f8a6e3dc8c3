"""What holds for every policy of the table."""

import math
from dataclasses import replace

import numpy as np
import pytest

from fl.policies import POLICIES, asks_clients, build_policy, find_problems
from fl.policies.answer import checked_questions, checked_selection
from fl.policies.view import AskingPolicy
from fl.server.config import FedBuffServer
from fl.server.modes import run_server
from fl.server.modes.sync import run_rounds
from tests.fl.fakes import SMALLEST as METHODS
from tests.fl.fakes import federation, streams
from tests.fl.policies.smallest import SMALLEST
from tests.fl.policies.views import Foreseen, view

KINDS = sorted(POLICIES)
NO_LINKS = ("all", "random", "poisson", "round_robin", "power_of_choice", "energy_floor")
COUNTED = [kind for kind in KINDS if hasattr(SMALLEST.get(kind), "num_clients")]
"""Policies whose settings say how many clients take part."""


def cohorts(kind, views, *, seed=7):
    """Let a fresh policy select in one view after another."""
    policy = build_policy(SMALLEST[kind])
    return [decide(policy, seen, rng=streams(seed)("cohort", seen.round)) for seen in views]


def decide(policy, seen, *, rng):
    """Ask for losses where the policy does, and let it select."""
    if isinstance(policy, AskingPolicy):
        asked, ids = checked_questions(policy, seen, rng=rng), seen.candidates.client_id
        losses = np.where(np.isin(ids, asked), 1.0 + ids % 3, np.nan)
        seen = replace(seen, candidates=replace(seen.candidates, asked_loss=losses))
    return checked_selection(policy, seen, rng=rng)


def random_view(seed, *, round_id=1, num=30, **options):
    rng = np.random.default_rng([seed, round_id])
    is_out = rng.random(num) < 0.2
    took_part = rng.random(num) < 0.5 * (round_id > 1)
    snr_db = np.where(is_out, -math.inf, rng.normal(10.0, 8.0, size=num))
    capacity_j = np.where(rng.random(num) < 0.2, np.nan, 5e4)
    return view(
        round_id=round_id,
        client_id=np.sort(rng.choice(100, size=num, replace=False)),
        cell_id=np.where(is_out, -1, rng.integers(3, size=num)),
        snr_db=snr_db,
        mean_snr_db=np.where(is_out, -math.inf, snr_db - 1.0),
        uplink_rate_bps=np.where(is_out, 0.0, rng.uniform(1e5, 1e7, size=num)),
        downlink_rate_bps=np.where(is_out, 0.0, rng.uniform(1e6, 1e8, size=num)),
        num_samples=rng.integers(1, 200, size=num),
        times_selected=took_part,
        last_round=took_part * (round_id - 1),
        last_received=took_part * (round_id - 1),
        last_loss=np.where(took_part, rng.uniform(0.1, 3.0, size=num), np.nan),
        last_rms_loss=np.where(took_part, rng.uniform(0.1, 3.0, size=num), np.nan),
        last_duration_s=np.where(took_part, rng.uniform(1.0, 99.0, size=num), np.nan),
        spent_j=np.where(took_part, rng.uniform(1.0, 99.0, size=num), 0.0),
        battery_j=capacity_j * rng.uniform(0.3, 1.0, size=num),
        battery_capacity_j=capacity_j,
        forecast=Foreseen(
            compute_s=rng.uniform(1.0, 50.0, size=100), compute_j=rng.uniform(1.0, 90.0, size=100)
        ),
        **options,
    )


def test_every_policy_has_a_smallest_setting():
    assert POLICIES
    assert SMALLEST.keys() == POLICIES.keys()
    assert all(entry.summary and entry.source for entry in POLICIES.values())


@pytest.mark.parametrize("kind", KINDS)
def test_cohorts_are_sets_of_candidates_decided_by_the_address(kind):
    views = [random_view(seed, round_id=round_id) for seed in range(3) for round_id in (1, 2, 3)]
    found = cohorts(kind, views)  # refuses anything but a set of candidates
    assert cohorts(kind, views) == found
    if kind in COUNTED:
        assert {len(each) for each in found} == {4}


@pytest.mark.parametrize("kind", KINDS)
def test_ids_are_plain_whole_numbers(kind):
    chosen = build_policy(SMALLEST[kind]).select(view(), rng=streams()("cohort", 1))
    assert all(type(each) is int for each in chosen)


@pytest.mark.parametrize("kind", KINDS)
def test_one_candidate_is_selected(kind):
    assert cohorts(kind, [view(client_id=[7])]) == [[7]]


@pytest.mark.parametrize("kind", KINDS)
def test_equal_clients_are_all_served(kind):
    """Whatever is equal to begin with: nobody is left out for ever."""
    times = np.zeros(10, dtype=int)
    policy = build_policy(SMALLEST[kind])
    last = {"last_round": np.zeros(10, dtype=int), "last_loss": np.full(10, np.nan)}
    for round_id in range(1, 41):
        ratio = 10 * np.log10(np.random.default_rng(round_id).exponential(size=10))
        seen = view(
            round_id=round_id,
            snr_db=ratio,
            last_round=last["last_round"],
            last_received=last["last_round"],
            times_selected=times,
            last_loss=last["last_loss"],
            last_rms_loss=last["last_loss"],
            last_duration_s=np.where(times > 0, 5.0, np.nan),
            spent_j=3.0 * times,
        )
        chosen = decide(policy, seen, rng=streams()("cohort", round_id))
        times[chosen] += 1
        last["last_round"][chosen] = round_id
        last["last_loss"][chosen] = 1.0
    assert times.min() > 0


@pytest.mark.parametrize("kind", COUNTED)
def test_who_is_out_of_coverage_is_last(kind):
    if kind in NO_LINKS:
        pytest.skip("looks at no link")
    is_out = np.arange(10) < 6
    seen = view(
        cell_id=np.where(is_out, -1, 0),
        snr_db=np.where(is_out, -math.inf, 3.0),
        mean_snr_db=np.where(is_out, -math.inf, 3.0),
        uplink_rate_bps=np.where(is_out, 0.0, 1e6),
        downlink_rate_bps=np.where(is_out, 0.0, 1e6),
        forecast=Foreseen(download_bytes=1e5),
    )
    assert cohorts(kind, [seen]) == [[6, 7, 8, 9]]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("num_wanted", [None, 1, 3])
def test_somebody_is_selected_while_nobody_is_in_coverage(kind, num_wanted):
    """The only site fails: a run goes on, and its transfers wait for the site."""
    outside = {"cell_id": -1, "snr_db": -math.inf, "mean_snr_db": -math.inf}
    outside |= {"uplink_rate_bps": 0.0, "downlink_rate_bps": 0.0, "uplink_w": 0.0}
    seen = view(num_wanted=num_wanted, forecast=Foreseen(download_bytes=1e5), **outside)
    (chosen,) = cohorts(kind, [seen])
    assert 1 <= len(chosen) <= (num_wanted or 10)


@pytest.mark.parametrize("kind", COUNTED)
def test_a_server_may_ask_for_fewer(kind):
    assert {len(each) for each in cohorts(kind, [view(num_wanted=1), view(num_wanted=3)])} == {1, 3}


@pytest.mark.parametrize("kind", KINDS)
def test_links_are_asked_for_only_where_they_are_read(kind):
    asked = []
    build_policy(SMALLEST[kind]).select(view(asked=asked), rng=streams()("cohort", 1))
    assert asked == ([] if kind in NO_LINKS else [list(range(10))])


@pytest.mark.parametrize("kind", COUNTED)
def test_all_are_taken_when_fewer_are_there(kind):
    assert cohorts(kind, [view(3)]) == [[0, 1, 2]]
    problems = find_problems(SMALLEST[kind], num_clients=3)
    assert ("server", "policy", "num_clients") in [each.path for each in problems]
    assert find_problems(SMALLEST[kind], num_clients=4) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_federation_runs_under_it(kind):
    played = federation(METHODS["head"], num_clients=4, num_rounds=2)
    played.policy = build_policy(SMALLEST[kind])
    played.env.run(until=played.env.process(run_rounds(played)))
    assert [row.num_received for row in played.recorder.rounds] == [4, 4]
    assert played.roster.times_selected.tolist() == [2, 2, 2, 2]
    losses = {row.client_id: row.train_loss for row in played.recorder.clients}
    assert played.roster.last_loss.tolist() == [losses[each] for each in range(4)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_without_rounds_runs_under_it(kind):
    made = federation(METHODS["head"], num_clients=5, num_rounds=4)
    policy = SMALLEST[kind] if kind not in COUNTED else replace(SMALLEST[kind], num_clients=3)
    made.server = FedBuffServer(num_rounds=4, policy=policy, buffer_size=2)
    made.policy = build_policy(policy)
    made.env.run(until=made.env.process(run_server(made)))
    assert [row.num_received for row in made.recorder.rounds] == [2] * 4
    assert 8 < made.num_participations <= 8 + (3 if kind in COUNTED else 5)
    assert not made.roster.is_busy.any()


@pytest.mark.parametrize("kind", KINDS)
def test_a_policy_asks_where_its_settings_say_so(kind):
    policy = build_policy(SMALLEST[kind])
    assert asks_clients(SMALLEST[kind]) == isinstance(policy, AskingPolicy)


def test_power_of_choice_by_last_losses_asks_nobody():
    config = replace(SMALLEST["power_of_choice"], losses="last")
    assert not asks_clients(config)
    assert not build_policy(config).ask(view(), rng=streams()("cohort", 1))
