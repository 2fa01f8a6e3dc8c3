"""Device classes: shares, common draws, memory."""

import numpy as np
import pytest

from fl.clients.devices import (
    DEVICES,
    ClientsConfig,
    check_memory,
    compute_s,
    draw_devices,
    find_problems,
)
from tests.fl.fakes import streams


def test_draws_follow_the_shares_within_four_standard_deviations():
    shares = {"phone_mid": 0.5, "phone_high": 0.3, "laptop": 0.2}
    drawn = draw_devices(shares, num_clients=4000, streams=streams())
    names = [device.name for device in drawn]
    for name, share in shares.items():
        tolerance = 4 * np.sqrt(share * (1 - share) / len(names))
        assert abs(names.count(name) / len(names) - share) < tolerance


def test_a_client_keeps_its_device_when_clients_are_added_or_shares_reordered():
    few = draw_devices({"phone_mid": 0.4, "laptop": 0.6}, num_clients=5, streams=streams())
    many = draw_devices({"laptop": 0.6, "phone_mid": 0.4}, num_clients=50, streams=streams())
    assert many[:5] == few
    assert len({device.name for device in many}) == 2


def test_compute_time_is_work_over_speed():
    device = DEVICES["phone_mid"]
    assert compute_s(3 * device.sustained_flop_per_s, device) == pytest.approx(3.0, rel=1e-12)


def test_memory_error_names_need_device_and_capacity():
    used = [DEVICES["phone_low"], DEVICES["laptop"]]
    check_memory(used, need_bytes=2**30, job="a step")
    with pytest.raises(ValueError, match=r"a step needs 5 GiB of memory, but phone_low has 1 GiB$"):
        check_memory(used, need_bytes=5 * 2**30, job="a step")


def test_every_problem_of_the_clients_is_found():
    config = ClientsConfig(
        num_clients=3, devices={"phone_mid": 0.5, "toaster": 0.25, "laptop": 0.0}
    )
    problems = {problem.path: problem.message for problem in find_problems(config)}
    assert "must be one of" in problems["clients", "devices", "toaster"]
    assert "no effect" in problems["clients", "devices", "laptop"]
    assert "sum to 1, got 0.75" in problems["clients", "devices"]
    assert find_problems(ClientsConfig(num_clients=3, devices={"laptop": 1.0})) == []


def test_table_is_complete():
    for name, device in DEVICES.items():
        assert device.name == name
        assert min(device.sustained_flop_per_s, device.compute_w, device.memory_bytes) > 0
        assert "our choice" in device.source
