"""One device: its speed and power at a precision and a frequency."""

import pytest

from fl.clients.device import Device
from fl.clients.device_table import DEVICES


def test_compute_time_is_work_over_speed():
    device = Device.of(DEVICES["phone_mid"], speed_factor=2.0)
    assert device.compute_s(3 * 20e9) == pytest.approx(3.0, rel=1e-12)
