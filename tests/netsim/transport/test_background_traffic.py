"""Files of background users: how many, when, whose and which way."""

import numpy as np
import pytest
import simpy

from netsim.config.radio import BackgroundUsers
from netsim.transport.background_traffic import FIRST_FILE, BackgroundTraffic, FileInProgress
from netsim.world.population import FIRST_BACKGROUND_USER

NUM_USERS = 20
BOTH_WAYS = BackgroundUsers(
    num_users=NUM_USERS, downlink_files_per_s=0.5, uplink_files_per_s=0.25, file_bytes=7,
    give_up_after_s=3.0,
)  # fmt: skip


def arrivals(config, *, seed, until_s, **settings):
    """The files of a background up to an instant."""
    env = simpy.Environment()
    files = []
    BackgroundTraffic(
        env, config, seed=seed, admit=files.append, cancel=lambda *_: None, **settings
    )
    env.run(until=until_s)
    return files


def test_the_load_is_what_is_offered():
    files = arrivals(BOTH_WAYS, seed=3, until_s=200.0)
    down = sum(each.direction == "downlink" for each in files)
    # Poisson counts: 4 standard deviations.
    assert down == pytest.approx(2000, abs=4 * np.sqrt(2000))
    assert len(files) - down == pytest.approx(1000, abs=4 * np.sqrt(1000))
    gap_s = np.diff([each.requested_at_s for each in files])
    assert gap_s.std() / gap_s.mean() == pytest.approx(1.0, abs=0.07)  # exponential
    counts = np.bincount([each.client_id - FIRST_BACKGROUND_USER for each in files])
    assert len(counts) == NUM_USERS
    assert counts == pytest.approx(150, abs=4 * np.sqrt(150))


def test_a_file_has_its_size_its_limit_and_a_number():
    files = arrivals(BOTH_WAYS, seed=3, until_s=5.0)
    assert [each.transfer_id for each in files] == [FIRST_FILE + k for k in range(len(files))]
    assert {each.size_bytes for each in files} == {7}
    limits_s = [each.deadline_at_s - each.requested_at_s for each in files]
    assert limits_s == pytest.approx([3.0] * len(files))
    assert {each.participation_id for each in files} == {None}


@pytest.mark.parametrize("direction", ["uplink", "downlink"])
def test_users_may_have_files_one_way_only(direction):
    config = BackgroundUsers(num_users=3, **{f"{direction}_files_per_s": 2.0})
    assert {each.direction for each in arrivals(config, seed=1, until_s=10.0)} == {direction}


def test_files_depend_on_the_seed_and_come_later_at_a_lower_rate():
    def told(config, seed):
        return [
            (each.requested_at_s, each.client_id, each.direction)
            for each in arrivals(config, seed=seed, until_s=10.0)
        ]

    assert told(BOTH_WAYS, 1) == told(BOTH_WAYS, 1) != told(BOTH_WAYS, 2)
    half = BackgroundUsers(num_users=NUM_USERS, downlink_files_per_s=0.25, uplink_files_per_s=0.125)
    fewer, more = told(half, 1), told(BOTH_WAYS, 1)
    assert [each[1:] for each in fewer] == [each[1:] for each in more[: len(fewer)]]
    np.testing.assert_allclose(
        [each[0] for each in fewer], [2.0 * each[0] for each in more[: len(fewer)]]
    )


def test_files_on_their_way_come_first_and_change_no_later_one():
    waiting = FileInProgress(
        transfer_id=7, client_id=FIRST_BACKGROUND_USER + 3, direction="uplink", left_bytes=5,
        given_up_after_s=1.5,
    )  # fmt: skip
    first, *others = arrivals(BOTH_WAYS, seed=1, until_s=5.0, in_progress=lambda: [waiting])
    assert (first.transfer_id, first.client_id, first.direction) == (7, waiting.client_id, "uplink")
    assert (first.requested_at_s, first.size_bytes, first.deadline_at_s) == (0.0, 5, 1.5)
    alone = arrivals(BOTH_WAYS, seed=1, until_s=5.0)
    assert [each.requested_at_s for each in others] == [each.requested_at_s for each in alone]
    elsewhere = arrivals(BOTH_WAYS, seed=1, until_s=5.0, first_file=2 * FIRST_FILE)
    assert elsewhere[0].transfer_id == 2 * FIRST_FILE
    assert elsewhere[0].requested_at_s != alone[0].requested_at_s
