"""One device: its speed and power at a precision and a frequency."""

from dataclasses import replace

import pytest

from fl.clients.device import Device
from fl.clients.device_class import DeviceClass
from fl.clients.device_table import DEVICES
from fl.clients.work import DecodeSteps, Work

OWN = DeviceClass(
    name="mine",
    sustained_flop_per_s=1e9,
    fp16_flop_per_s=2e9,
    compute_w=1.0,
    memory_bytes=1e9,
    memory_bandwidth_bytes_per_s=1e10,
)
STEPS = DecodeSteps(num_steps=3, flop=10**6, frozen_bytes=4 * 10**9, cache_bytes=2 * 10**9)


def test_compute_time_is_work_over_speed():
    device = Device.of(DEVICES["phone_mid"], speed_factor=2.0)
    assert device.compute_s(Work(flop=3 * 20 * 10**9)) == pytest.approx(3.0, rel=1e-12)


def test_decode_steps_wait_for_memory_at_the_precision_of_the_device():
    work = Work(flop=5 * 10**9, decode=(STEPS,))
    assert Device.of(OWN).compute_s(work) == pytest.approx(5 + 3 * 0.6, rel=1e-12)
    half = Device.of(OWN, precision="fp16")
    assert half.compute_s(work) == pytest.approx(2.5 + 3 * 0.3, rel=1e-12)
    # A faster processor reads no faster.
    assert Device.of(OWN, speed_factor=5.0).compute_s(work) == pytest.approx(1 + 3 * 0.6)


def test_a_class_without_bandwidth_cannot_decode():
    device = Device.of(replace(OWN, memory_bandwidth_bytes_per_s=None))
    assert device.compute_s(Work(flop=10**9)) == 1.0
    with pytest.raises(ValueError, match=r"^clients.devices.mine: needs memory_bandwidth_bytes_"):
        device.compute_s(Work(decode=(STEPS,)))
