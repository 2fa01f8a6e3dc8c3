"""Devices of clients: shares, common draws, spread of speed, memory."""

import numpy as np
import pytest
from scipy import stats

from fl.clients.config import ClientsConfig
from fl.clients.device import Device
from fl.clients.device_class import DeviceConfig
from fl.clients.device_table import DEVICES
from fl.clients.devices import DeviceMemoryError, Devices, check_memory, draw_devices
from fl.clients.frequency import DvfsConfig
from fl.clients.work import DecodeSteps, Work
from tests.fl.fakes import streams


def drawn(devices, num_clients, **options):
    config = ClientsConfig(num_clients=num_clients, devices=devices, **options)
    return draw_devices(config, streams=streams())


def test_draws_follow_the_shares_within_four_standard_deviations():
    shares = {"phone_mid": 0.5, "phone_high": 0.3, "laptop": 0.2}
    names = [device.name for device in drawn(shares, 4000)]
    for name, share in shares.items():
        tolerance = 4 * np.sqrt(share * (1 - share) / len(names))
        assert abs(names.count(name) / len(names) - share) < tolerance


def test_a_client_keeps_its_device_when_clients_are_added_or_shares_reordered():
    few = drawn({"phone_mid": 0.4, "laptop": 0.6}, 5)
    many = drawn({"laptop": 0.6, "phone_mid": 0.4}, 50)
    assert many[:5] == list(few)
    assert len({device.name for device in many}) == 2


def test_speeds_within_a_class_are_log_normal_around_the_class():
    """Of 4000 devices: median within 4 standard errors (1.25 sigma / sqrt(n)), shape by test."""
    sigma, speed = 0.5, DEVICES["phone_mid"].sustained_flop_per_s
    log = np.log([each.speed.flop_per_s / speed for each in drawn({"phone_mid": 1.0}, 4000)])
    assert abs(np.median(log)) < 4 * 1.2533 * sigma / np.sqrt(4000)
    assert np.std(log) == pytest.approx(sigma, abs=4 * sigma / np.sqrt(8000))
    assert stats.kstest(log / sigma, "norm").pvalue > 1e-3


def test_spread_scales_one_draw_and_zero_switches_it_off():
    wide, narrow = (drawn({"laptop": 1.0}, 20, device_speed_sigma=s) for s in (0.8, 0.2))
    ratio = [
        np.log(w.compute_s(Work(flop=2 * 10**12))) / np.log(n.compute_s(Work(flop=2 * 10**12)))
        for w, n in zip(wide, narrow, strict=True)
    ]
    np.testing.assert_allclose(ratio, 4.0, rtol=1e-12)
    alike = drawn({"laptop": 1.0}, 20, device_speed_sigma=0.0)
    assert {device.speed.flop_per_s for device in alike} == {DEVICES["laptop"].sustained_flop_per_s}


def test_classes_of_ones_own_are_drawn_beside_the_built_in():
    mine = DeviceConfig(
        share=0.5, sustained_flop_per_s=6e10, compute_w=4.2, memory_bytes=3e9, battery_wh=15.0
    )
    found = drawn({"my_phone": mine, "phone_mid": 0.5}, 40, device_speed_sigma=0.0)
    own = next(device for device in found if device.name == "my_phone")
    assert (own.speed.flop_per_s, own.compute_w, own.kind.battery_wh) == (6e10, 4.2, 15.0)
    assert 0 < sum(device.name == "my_phone" for device in found) < 40


def test_memory_error_names_need_device_and_capacity():
    used = [DEVICES[name] for name in ("phone_low", "laptop")]
    check_memory(used, need_bytes=0.8e9, job="a step")
    with pytest.raises(
        DeviceMemoryError, match=r"a step needs 5 GB of memory, but phone_low has 0\.8 GB"
    ):
        check_memory(used, need_bytes=5e9, job="a step")


def test_rows_say_what_a_client_computes_with_and_the_ends_of_its_range():
    device = Device.of(DEVICES["phone_low"], speed_factor=2.0)
    board = Device.of(DEVICES["jetson_nano"])
    first, second = Devices.of([device, board]).rows()
    assert (first.client_id, first.device, first.flop_per_s) == (0, "phone_low", 8e9)
    assert (first.low_flop_per_s, first.high_flop_per_s) == (2e9, 24e9)
    assert (first.compute_w, first.low_w, first.high_w) == (2.5, 2.0, 3.0)
    assert (first.memory_bytes, first.battery_wh) == (0.8e9, 19.0)
    assert (second.client_id, second.battery_wh) == (1, None)


def test_columns_are_those_of_the_devices_one_by_one():
    shares = {"phone_mid": 0.4, "jetson_nano": 0.3, "laptop": 0.3}
    dvfs = DvfsConfig(frequency_fraction=0.7)
    devices = drawn(shares, 60, dvfs=dvfs, precision="fp16")
    made = list(devices)
    assert made == list(Devices.of(made))
    for client_id, each in enumerate(made):
        factor = float(np.exp(0.5 * streams()("device_speed", client_id).standard_normal()))
        assert each == Device.of(each.kind, speed_factor=factor, precision="fp16", dvfs=dvfs)
    assert devices.names.tolist() == [each.name for each in made]
    assert devices.compute_w.tolist() == [each.compute_w for each in made]
    full_wh = [np.inf if each.kind.battery_wh is None else each.kind.battery_wh for each in made]
    assert devices.battery_wh.tolist() == full_wh
    assert {kind.name for kind in devices.kinds} == {each.name for each in made}
    assert {kind.name for kind in drawn(shares, 1).kinds} == {made[0].name}


def test_devices_come_again_where_there_are_more_clients():
    few = drawn({"phone_mid": 0.5, "laptop": 0.5}, 3)
    assert list(few.repeated(7)) == [few[n % 3] for n in range(7)]
    assert list(few.repeated(2)) == few[:2]


def test_seconds_of_several_clients_are_those_of_each():
    devices = drawn({"phone_mid": 0.5, "laptop": 0.5}, 5)
    steps = DecodeSteps(num_steps=3, flop=10**9, frozen_bytes=10**8)
    works = [Work(flop=3 * 10**18 + 1), Work(flop=7, decode=(steps,)), Work()]
    ids = np.array([4, 1, 0])
    found = devices.compute_s(ids, works).tolist()
    assert found == [devices[each].compute_s(work) for each, work in zip(ids, works, strict=True)]
