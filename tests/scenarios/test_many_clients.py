"""Runs of very many clients: nothing is made of each client before it takes part."""

from collections import Counter

import pytest

from benchmarks.many_clients import measure
from fl.clients.devices import Devices
from fl.data.shards import SampledShards
from netsim.access_networks.access import Access
from scenarios.shares import RunStreams


def test_what_a_run_makes_does_not_grow_with_its_clients(monkeypatch):
    made = Counter()
    for kind, name in (
        (Devices, "__getitem__"),
        (SampledShards, "of_client"),
        (RunStreams, "__call__"),
        (Access, "__init__"),
    ):
        real = getattr(kind, name)

        def counted(*arguments, _name=f"{kind.__name__}.{name}", _real=real, **named):
            made[_name] += 1
            return _real(*arguments, **named)

        monkeypatch.setattr(kind, name, counted)
    numbers = []
    for num_clients in (2_000, 20_000):
        made.clear()
        found = measure(num_clients)
        assert found["num_clients"] == num_clients
        numbers.append(dict(made))
    few, many = numbers
    assert (
        few.keys()
        == many.keys()
        == {
            "Devices.__getitem__",
            "SampledShards.of_client",
            "RunStreams.__call__",
            "Access.__init__",
        }
    )
    assert many["Access.__init__"] == 1
    for name, number in many.items():
        assert number == pytest.approx(few[name], rel=0.5)
        assert number < 3_000
