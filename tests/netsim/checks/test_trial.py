"""A user's own scheduler is checked against the fading mode once it is loaded."""

import numpy as np
import pytest

from netsim.checks.trial import check_scheduler
from netsim.config.radio import RayleighFading
from tests.netsim.worlds import plain_radio


class Default:
    def shares(self, view):
        return np.full(view.group_rate_bps.shape, 1 / len(view.client_id))


class NoRates(Default):
    uses_rates = False


class NoAverages(Default):
    uses_average_rate = False


class Exclusive(NoAverages):
    is_exclusive = True


@pytest.mark.parametrize(
    ("own", "is_refused"),
    [(Default, True), (NoRates, False), (NoAverages, False), (Exclusive, True)],
)
def test_ergodic_mode_is_refused_by_the_traits_of_an_own_scheduler(own, is_refused):
    name = f"own.py:{own.__name__}"
    check_scheduler(plain_radio(scheduler=name, fading=RayleighFading()), own())
    radio = plain_radio(scheduler=name, fading=RayleighFading(mode="ergodic"))
    if not is_refused:
        check_scheduler(radio, own())
        return
    with pytest.raises(ValueError, match=rf"^radio\.fading\.mode: must be block .*{name}") as info:
        check_scheduler(radio, own())
    assert "\n" not in str(info.value)
