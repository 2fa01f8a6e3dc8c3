"""When a client changes cell: event A3 on filtered power.

A state machine over many clients at once. A *slot* is a row of the state: one client that is
tracked. The caller says which slots it steps and with what measurements.

References
----------
Event A3: 3GPP TS 38.331 clause 5.5.4.4. Layer-3 filter: clause 5.5.3.2.
"""

import numpy as np
from jaxtyping import Float, Int

from netsim.config.radio import A3Handover
from netsim.slot_arrays import SlotArrays
from netsim.units import Scalar

FILTER_SAMPLE_S = 0.2
"""Sample distance for which the filter coefficient is defined [s]."""
CLOCK_SLACK_S = 1e-9
"""A timer that is short by less than this has expired: ticks are sums of rounded steps [s]."""
NO_TARGET = -1


def filter_weight(filter_coefficient: int, interval_s: Scalar) -> Scalar:
    """Return the weight of a new measurement: ``a = 2^(-k/4)`` at 200 ms, adapted to others.

    ``a' = 1 - (1 - a)^(interval / 200 ms)`` gives the same memory per second at any distance.

    Parameters
    ----------
    filter_coefficient
        The standard's k, >= 0; 0 is no filter.
    interval_s
        Time since the last measurement [s], >= 0; a scalar or any shape.

    Examples
    --------
    >>> filter_weight(4, 0.2)
    0.5
    """
    memory = 1.0 - 2.0 ** (-filter_coefficient / 4.0)
    return 1.0 - memory ** (interval_s / FILTER_SAMPLE_S)


class A3Monitor(SlotArrays):
    """Event A3 for many clients: a neighbour is better than the serving cell for long enough.

    A neighbour's entering condition is ``filtered_n - hysteresis > filtered_serving + offset``; it
    must hold at every measurement during the time to trigger. Among several neighbours that do,
    the one with the highest filtered power is the target. The handover follows at once, so the
    standard's leaving condition, which ends a report already sent, never applies.

    Parameters
    ----------
    config
        Offset, hysteresis, time to trigger, filter coefficient.
    num_cells
        Cells in a measurement.
    """

    _filtered_dbm: Float[np.ndarray, "slot cell"]
    _entered_at_s: Float[np.ndarray, "slot cell"]
    """Since when each cell meets the entering condition; inf where it does not."""
    _measured_at_s: Float[np.ndarray, " slot"]

    def __init__(self, config: A3Handover, *, num_cells: int) -> None:
        super().__init__(
            _filtered_dbm=np.full(num_cells, -np.inf),
            _entered_at_s=np.full(num_cells, np.inf),
            _measured_at_s=-np.inf,
        )
        self.config = config

    def start(self, slots: Int[np.ndarray, " some"] | int) -> None:
        """Forget what these slots measured: for a new client, or one that lost its cell."""
        self.renew(slots)

    def filtered_dbm(self, slots: Int[np.ndarray, " some"]) -> Float[np.ndarray, "some cell"]:
        """Return the filtered powers [dBm]; -inf where nothing was measured yet."""
        return self._filtered_dbm[slots]

    def step(
        self,
        slots: Int[np.ndarray, " some"],
        rsrp_dbm: Float[np.ndarray, "some cell"],
        *,
        serving_cell: Int[np.ndarray, " some"],
        at_s: float,
    ) -> Int[np.ndarray, " some"]:
        """Take a measurement of every cell; return which clients change to which cell.

        Parameters
        ----------
        slots
            Distinct rows, started before.
        rsrp_dbm
            Reference-signal power from each cell [dBm]; -inf for a cell that is off.
        serving_cell
            Cell that serves each slot now, >= 0.
        at_s
            Time of the measurement, not earlier than the last one of any of these slots.

        Returns
        -------
        Int[np.ndarray, " some"]
            Cell to change to, or ``NO_TARGET`` (-1). The timers of a slot with a target start
            anew; its filter continues, as the measurements stay valid.
        """
        filtered_dbm = self._filter(slots, rsrp_dbm, at_s)
        rows = np.arange(len(slots))
        threshold_dbm = (
            filtered_dbm[rows, serving_cell] + self.config.offset_db + self.config.hysteresis_db
        )
        is_entering = filtered_dbm > threshold_dbm[:, np.newaxis]
        is_entering[rows, serving_cell] = False
        since_s = np.where(is_entering, np.minimum(self._entered_at_s[slots], at_s), np.inf)
        is_due = at_s - since_s >= self.config.time_to_trigger_s - CLOCK_SLACK_S
        best = np.where(is_due, filtered_dbm, -np.inf).argmax(axis=1)
        target = np.where(is_due.any(axis=1), best, NO_TARGET)
        since_s[target != NO_TARGET] = np.inf
        self._entered_at_s[slots] = since_s
        return target

    def _filter(
        self, slots: Int[np.ndarray, " some"], rsrp_dbm: Float[np.ndarray, "some cell"], at_s: float
    ) -> Float[np.ndarray, "some cell"]:
        before_dbm = self._filtered_dbm[slots]
        weight = filter_weight(
            self.config.filter_coefficient, at_s - self._measured_at_s[slots, np.newaxis]
        )
        # The filter of a cell that was off, or is, starts with the measurement.
        has_memory = np.isfinite(before_dbm) & np.isfinite(rsrp_dbm)
        old_dbm = np.where(has_memory, before_dbm, 0.0)
        new_dbm = np.where(has_memory, rsrp_dbm, 0.0)
        mixed_dbm = old_dbm + weight * (new_dbm - old_dbm)
        filtered_dbm = np.where(has_memory, mixed_dbm, rsrp_dbm)
        self._filtered_dbm[slots] = filtered_dbm
        self._measured_at_s[slots] = at_s
        return filtered_dbm
