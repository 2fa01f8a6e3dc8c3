"""Computing of a client that goes on: its phases of constant power, and their booking."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import simpy

from fl.clients.throttling import Phase
from fl.clients.work import Work
from fl.server.federation import Federation


@dataclass(frozen=True, slots=True)
class Computing:
    """Work of one client that began at an instant and last for some phases."""

    client_id: int
    started_at_s: float
    phases: Sequence[Phase]
    """One, or those in which a throttled device is cool and warm."""
    warm_w: float
    """Power while the device is warm [W]."""

    @property
    def duration_s(self) -> float:
        """Seconds of the whole of it."""
        return sum(each.duration_s for each in self.phases)

    @property
    def whole_j(self) -> float:
        """Joules of the whole of it."""
        return self.spent_j(np.inf)

    def spent_j(self, now_s: float) -> float:
        """Return its joules up to an instant."""
        spent_j, left_s = 0.0, now_s - self.started_at_s
        for phase in self.phases:
            spent_j += min(phase.duration_s, left_s) * self.warm_w * phase.factor
            left_s = max(left_s - phase.duration_s, 0.0)
        return spent_j


def begin_computing(federation: Federation, client_id: int, *, work: Work) -> Computing:
    """Return the computing of a client that begins now; nothing is booked yet."""
    device, now_s = federation.devices[client_id], federation.now_s
    warm_s, cool = device.compute_s(work), federation.cool_time
    phases = [Phase(warm_s, 1.0)]
    if cool is not None:
        phases = cool.phases(client_id, warm_s, at_s=now_s)
    return Computing(client_id, now_s, phases, device.compute_w)


def end_computing(federation: Federation, computing: Computing) -> float:
    """Charge the computing that was done until now, the end of it or before; return its joules."""
    spent_j, at_s, now_s = 0.0, computing.started_at_s, federation.now_s
    if federation.cool_time is not None:
        federation.cool_time.end(computing.client_id, started_at_s=at_s, finished_at_s=now_s)
    for phase in computing.phases:
        # What the sum of the phases rounds off belongs to the last one.
        is_last = phase is computing.phases[-1]
        end_s = now_s if is_last else min(at_s + phase.duration_s, now_s)
        power_w = computing.warm_w * phase.factor
        federation.network.energy.charge(
            computing.client_id,
            "compute",
            started_at_s=at_s,
            finished_at_s=end_s,
            power_w=power_w,
        )
        spent_j += (end_s - at_s) * power_w
        at_s = end_s
    return spent_j


def most_w(federation: Federation, client_id: int) -> float:
    """Return the power that a client draws at most: computing, and its radio beside it [W]."""
    factor = 1.0 if federation.throttling is None else federation.throttling.cool_factor
    return federation.devices[client_id].compute_w * factor + federation.network.most_radio_w


def either(env: simpy.Environment, after_s: float, event: simpy.Event) -> simpy.Event:
    """Return an event that fires after some seconds, or when another one does if that is sooner.

    As ``env.timeout(after_s) | event``, in a third of the time.
    """
    first = env.event()

    def fire(_: simpy.Event) -> None:
        if not first.triggered:
            first.succeed()

    for each in (env.timeout(after_s), event):
        if each.callbacks is None:
            fire(each)
        else:
            each.callbacks.append(fire)
    return first
