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


def left_s(arrival_s, work_s, at_s):
    """Work of each job that is not done at an instant; 0 of those that are, or that come later."""
    arrival_s = np.asarray(arrival_s, dtype=float)
    end_s = arrival_s + sojourn_s(arrival_s, work_s)
    edges_s = np.sort(np.concatenate([arrival_s, end_s, [at_s]]))
    edges_s = edges_s[edges_s <= at_s]
    present = np.searchsorted(arrival_s, edges_s[:-1], side="right") - np.searchsorted(
        np.sort(end_s), edges_s[:-1], side="right"
    )
    served_s = np.append(0.0, np.cumsum(np.diff(edges_s) / np.maximum(present, 1)))
    since_s = served_s[-1] - np.interp(arrival_s, edges_s, served_s)
    is_there = (arrival_s <= at_s) & (end_s > at_s)
    return np.where(is_there, np.asarray(work_s) - since_s, 0.0)


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
