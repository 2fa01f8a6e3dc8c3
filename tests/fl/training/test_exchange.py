"""What a device computes between its exchanges."""

import pytest

from fl.clients.work import Work
from fl.training.exchange import Exchange, Exchanged, client_works


def exchange(before, after, *, up=10, down=20, server_s=0.5):
    return Exchange(
        before=Work(flop=before),
        uplink_bytes=up,
        server_flop=7,
        server_s=server_s,
        downlink_bytes=down,
        after=Work(flop=after),
    )


def test_the_end_of_a_step_and_the_beginning_of_the_next_are_one_piece():
    works = client_works([exchange(1, 20), exchange(300, 4000), exchange(50_000, 600_000)])
    assert [each.flop for each in works] == [1, 320, 54_000, 600_000]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_sums(count):
    found = Exchanged.of([exchange(1, 1)] * count)
    assert found == Exchanged(
        uplink_bytes=10 * count, downlink_bytes=20 * count, server_s=0.5 * count
    )
