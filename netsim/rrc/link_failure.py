"""When a client loses its link: out of sync for as long as a timer runs.

State machines over many clients at once, by slot as in :mod:`netsim.rrc.handover`. Fading is
averaged over the evaluation period of the standard; interference is the mean that the engines
work out.

References
----------
Radio-link failure: 3GPP TS 38.331 clause 5.3.10 with N310 = N311 = 1 (TR 36.839 as recollected).
Evaluation periods: TS 38.133 clause 8.1 (as recollected), 200 ms for out of sync and 100 ms for in
sync; one memory for both here.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from netsim.config.radio import LinkFailureConfig
from netsim.rrc.handover import CLOCK_SLACK_S
from netsim.slot_arrays import SlotArrays

EVALUATION_S = 0.2
"""Time over which the quality of a link is evaluated [s]."""
FADE_MARGIN_DB = 20.0
"""Fading whose mean over the evaluation period is below this does not last for a timer of usual
length (our choice): at 3 km/h and 3.5 GHz the period spans two Doppler cycles."""


class FadeMean(SlotArrays):
    """Fading of the serving link, averaged over the evaluation period.

    An exponential memory in place of the standard's sliding window, with the same mean age: half
    the period.
    """

    _mean: Float[np.ndarray, " slot"]
    _measured_at_s: Float[np.ndarray, " slot"]

    def __init__(self) -> None:
        super().__init__(_mean=1.0, _measured_at_s=-np.inf)

    def start(self, slots: Int[np.ndarray, " some"]) -> None:
        """Forget what these slots measured."""
        self.renew(slots)

    def step(
        self, slots: Int[np.ndarray, " some"], fade: Float[np.ndarray, " some"], *, at_s: float
    ) -> Float[np.ndarray, " some"]:
        """Take a power gain of each slot's fading; return the mean up to now.

        Parameters
        ----------
        slots
            Distinct rows, started before.
        fade
            Power gain of the fading, mean 1; the first one after a start is the mean.
        at_s
            Time of the measurement, not earlier than the last one of any of these slots.
        """
        elapsed_s = at_s - self._measured_at_s[slots]
        kept = np.exp(-elapsed_s / (EVALUATION_S / 2))
        self._mean[slots] = fade + kept * (self._mean[slots] - fade)
        self._measured_at_s[slots] = at_s
        return self._mean[slots]


class LinkMonitor(SlotArrays):
    """Radio-link failure of many clients: out of sync for as long as the timer runs.

    A SINR below ``out_of_sync_db`` starts the timer (T310); one above ``in_sync_db`` stops it; in
    between nothing changes. When it expires the link has failed.

    Parameters
    ----------
    config
        Both thresholds and the timer.
    """

    _lost_at_s: Float[np.ndarray, " slot"]
    """When each timer has started; inf where none runs."""

    def __init__(self, config: LinkFailureConfig) -> None:
        super().__init__(_lost_at_s=np.inf)
        self._config = config
        self.may_run = False
        """Whether some timer may run; cheap to ask in the usual case that none does."""

    def start(self, slots: Int[np.ndarray, " some"] | int) -> None:
        """Stop the timers of these slots."""
        self.renew(slots)

    def observe(
        self, slots: Int[np.ndarray, " some"], sinr_db: Float[np.ndarray, " some"], *, at_s: float
    ) -> None:
        """Take a downlink SINR of each slot, which holds until the next one.

        Parameters
        ----------
        slots
            Distinct rows, started before.
        sinr_db
            Wide-band downlink SINR of the serving cell [dB]; -inf when it is off.
        at_s
            Time of the measurement.
        """
        lost_at_s = self._lost_at_s[slots]
        lost_at_s = np.where(sinr_db > self._config.in_sync_db, np.inf, lost_at_s)
        is_out = sinr_db < self._config.out_of_sync_db
        self._lost_at_s[slots] = np.where(is_out, np.minimum(lost_at_s, at_s), lost_at_s)
        self.may_run = self.may_run or bool(np.count_nonzero(is_out))

    def expire(self, slots: Int[np.ndarray, " some"], *, at_s: float) -> Bool[np.ndarray, " some"]:
        """Return whose link fails now, once for each failure; the timer is then stopped."""
        has_failed = at_s - self._lost_at_s[slots] >= self._config.timer_s - CLOCK_SLACK_S
        self._lost_at_s[slots[has_failed]] = np.inf
        return has_failed

    def running(self) -> Int[np.ndarray, " some"]:
        """Return the slots whose timers run."""
        slots = np.flatnonzero(np.isfinite(self._lost_at_s))
        self.may_run = len(slots) > 0
        return slots

    def expires_at_s(self, slots: Int[np.ndarray, " some"]) -> Float[np.ndarray, " some"]:
        """Return when the timer of each slot expires if nothing changes; inf where none runs."""
        return self._lost_at_s[slots] + self._config.timer_s
