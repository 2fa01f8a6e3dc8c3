"""A processor shared equally by the jobs in it, event by event: the reference of a busy cell."""

import heapq

import numpy as np


def sojourn_s(arrival_s, work_s):
    """How long each job stays; arrivals are in order of time, work is the time that it takes alone.

    A job leaves when the service that each job in the system has been given since its arrival
    reaches its work, so jobs leave in the order of that sum at the arrival plus the work.
    """
    stay_s = np.full(len(arrival_s), np.nan)
    present: list[tuple[float, int]] = []
    served_s = now_s = 0.0

    def leave_until(at_s):
        nonlocal served_s, now_s
        while present:
            end_s = now_s + (present[0][0] - served_s) * len(present)
            if end_s > at_s:
                served_s += (at_s - now_s) / len(present)
                break
            served_s, job = heapq.heappop(present)
            now_s = end_s
            stay_s[job] = end_s - arrival_s[job]
        now_s = at_s

    for job, (at_s, own_s) in enumerate(zip(arrival_s, work_s, strict=True)):
        leave_until(at_s)
        heapq.heappush(present, (served_s + own_s, job))
    leave_until(np.inf)
    return stay_s


def busy_s(arrival_s, work_s, until_s):
    """How long somebody is in the system up to an instant, whatever the discipline."""
    end_s = total_s = 0.0
    for at_s, own_s in zip(arrival_s, work_s, strict=True):
        if at_s >= until_s:
            break
        start_s = max(at_s, end_s)
        total_s += min(start_s + own_s, until_s) - min(start_s, until_s)
        end_s = start_s + own_s
    return total_s
