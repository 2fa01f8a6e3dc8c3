"""What a scheduler sees of a cell and what it answers: the interface of schedulers."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

Answer = TypeVar("Answer")

MAX_MESSAGE = 200
"""Longest text of an exception of a scheduler that a message repeats [characters]."""
SUM_TOLERANCE = 1e-9
"""How far a column of shares may exceed 1 (rounding of a sum of a thousand terms)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellView:
    """The active transfers of one direction in one cell, now; at least one transfer.

    ``transfer`` is the axis of active transfers, ``group`` that of resource-block groups (groups of
    equal width that together are the band). Arrays are read-only by convention.
    """

    now_s: float
    """Simulated time."""
    client_id: Int[np.ndarray, " transfer"]
    """Who sends or receives; background users have ids of 2^24 and above."""
    remaining_bits: Float[np.ndarray, " transfer"]
    """What is left to deliver, > 0."""
    requested_at_s: Float[np.ndarray, " transfer"]
    """When the transfer was asked for."""
    deadline_at_s: Float[np.ndarray, " transfer"]
    """When it ends if it is not delivered before; inf when it has no deadline."""
    group_rate_bps: Float[np.ndarray, "transfer group"]
    """Rate of a transfer that had the whole group, at the power density of an equal split."""
    average_rate_bps: Float[np.ndarray, " transfer"]
    """Exponentially averaged served rate, > 0."""
    rate_bps: Callable[[Float[np.ndarray, " transfer"]], Float[np.ndarray, " transfer"]]
    """Total rate that each transfer would get with that fraction of the band, in [0, 1].

    Concave, as power is limited: twice the band is at most twice the rate.
    """
    power_w: Callable[[Float[np.ndarray, " transfer"]], Float[np.ndarray, " transfer"]]
    """Power radiated for each transfer at that fraction of the band (downlink: the site's)."""


@runtime_checkable
class Scheduler(Protocol):
    """Divides a cell's band among its active transfers; a plain class with this one method.

    It is asked again at every arrival, departure, handover and channel tick, so it may look at the
    view only. Views may be of a time soon to come: where fading changes within a tick, a scheduler
    that looks at rates is asked about instants up to the next tick, one after the other, and again
    about what is left of them after an event. State
    of its own is allowed, made of the views that it was asked about (there is one instance for each
    cell and direction); nothing in it may be drawn at random.

    A class may declare traits, on which the engines rely; none is taken from its name:

    ``uses_rates = False``
        It looks at no rate (``group_rate_bps``, ``average_rate_bps``, ``rate_bps``). The view then
        holds ones in place of the two arrays, and the engines are faster. Where a client at its
        power limit cannot use what it was given, such a class is asked again, at the same instant,
        about the others (:mod:`netsim.mac.unused_blocks`).
    ``uses_transfers = False``
        With ``uses_rates = False``: it goes by the number of transfers alone, not by whose they
        are, their bits or times, and keeps no state. Where nothing changes the link of a lone
        transfer, its service is worked out once.
    ``uses_average_rate = False``
        It looks at rates but not at ``average_rate_bps``: an answer holds until something else
        changes.
    ``is_exclusive = True``
        A group is served to one transfer at a time. One divided among several is a tie: they have
        it one after another, each at full width, not side by side. Other cells then receive
        interference that varies, and retransmissions meet other fading. Uplink blocks that a
        client at its power limit does not use are offered to the others as above, so that several
        are multiplexed in frequency; there ties are broken. Without this trait, ties
        that depend on the average are broken for the scheduler, it is asked more often, and
        interference is taken to be steady.

    ``grants_within_headroom = True``
        For an exclusive one: a client's uplink grant stays within its power headroom, that is, the
        blocks in which it can send at the full power of power control, as long as others can use
        the rest. Without it, a client is granted all blocks that raise its rate, however little.

    It may offer two more methods, for the engine that follows means over time instead of slots:

    ``metric(group_rate_bps, average_rate_bps)``
        For a scheduler that serves, in each group, the transfer with the largest metric. It returns
        the metric of each transfer in each group, shape (transfer, group), from its own rates only,
        so that the engine can compare the transfers of all cells at once, which is faster. It must
        keep no state, and ``shares`` must be those of
        :func:`netsim.mac.schedulers.metric.serve_largest` for it.
    ``steady_state_shares(view)``
        Its mean answer over an endless interval in which nothing of the view but the averages
        changes, or ``None`` where it knows of none. Two arrays: the mean shares, as of ``shares``,
        and the activity, shape (transfer,), in (0, 1]: the part of the time in which the transfer
        holds anything (``shares / activity``, at most 1, is held then). Without it, or with
        ``None``, the engine finds the mean by asking ``shares`` some hundred times. A class
        with ``uses_rates = False`` is not asked for it: averages cannot change its answers.
    """

    def shares(self, view: CellView) -> Float[np.ndarray, "transfer group"]:
        """Return each transfer's share of each group, in [0, 1]; columns sum to <= 1."""
        ...


def follows_fades(scheduler: Scheduler) -> bool:
    """Return whether the scheduled users of a scheduler change as fading does, by its traits."""
    if not getattr(scheduler, "uses_rates", True):
        return False
    uses_average_rate: bool = getattr(scheduler, "uses_average_rate", True)
    is_exclusive: bool = getattr(scheduler, "is_exclusive", False)
    return uses_average_rate or is_exclusive


def ask(method: Callable[..., Answer], *arguments: object, name: str) -> Answer:
    """Return the answer of a scheduler; what its code raises carries its name, file and line.

    Parameters
    ----------
    method
        A method of the scheduler.
    arguments
        What it is asked.
    name
        Name of the scheduler, for the error message.

    Raises
    ------
    RuntimeError
        If it raises anything, the end of the program (``SystemExit``) included; one line. The
        caller, who has the clock, adds the simulated time. An interrupt from the keyboard passes:
        it cannot be told from one that the scheduler raises.
    """
    try:
        return method(*arguments)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        msg = f"scheduler {placed(name, method, error)}: raised {in_one_line(error)}"
        raise RuntimeError(msg) from error


def placed(name: str, method: object, error: BaseException | None = None) -> str:
    """Return a name with the file and line of a method, if that is written in Python.

    Parameters
    ----------
    name
        Of the scheduler.
    method
        One of its methods.
    error
        What the method raised: the line is where that left its file, else that of the definition.
    """
    code = getattr(getattr(method, "__func__", method), "__code__", None)
    if not isinstance(code, CodeType):
        return name
    frames = traceback.walk_tb(None if error is None else error.__traceback__)
    lines = [line for frame, line in frames if frame.f_code.co_filename == code.co_filename]
    return f"{name}: {code.co_filename}:{[code.co_firstlineno, *lines][-1]}"


def in_one_line(error: BaseException) -> str:
    """Return type and message of an error as one line of at most :data:`MAX_MESSAGE` characters."""
    try:
        text = str(error)[: 10 * MAX_MESSAGE]
    except Exception:  # the __str__ of the user's exception is broken
        text = ""
    line = f"{type(error).__name__}: {' '.join(text.split())}".removesuffix(": ")
    return line if len(line) <= MAX_MESSAGE else f"{line[: MAX_MESSAGE - 3]}..."


def check_shares(
    shares: Float[np.ndarray, "transfer group"], view: CellView, *, name: str
) -> Float[np.ndarray, "transfer group"]:
    """Return the shares as float64 after checking shape, range and column sums.

    Parameters
    ----------
    shares
        What a scheduler answered.
    view
        What it was asked.
    name
        Name of the scheduler, for the error message.

    Raises
    ------
    ValueError
        If they are no numbers, the shape is not that of ``view.group_rate_bps``, a share is not in
        [0, 1] (NaN included), or a column sums to more than 1.
    """
    checked = _numbers(shares, view, name=name)
    if checked.shape != view.group_rate_bps.shape:
        msg = (
            f"scheduler {name}: shares must have shape {view.group_rate_bps.shape} "
            f"(transfer, group), got {checked.shape}"
        )
        raise ValueError(msg)
    sums = checked.sum(axis=0)
    # Without negative ones, no share exceeds the sum of its column; NaN fails.
    if checked.min(initial=0.0) >= 0 and sums.max(initial=0.0) <= 1 + SUM_TOLERANCE:
        return checked
    if not np.all((checked >= 0) & (checked <= 1 + SUM_TOLERANCE)):
        msg = f"scheduler {name}: shares must be in [0, 1], got {checked.min()} to {checked.max()}"
        raise ValueError(msg)
    msg = (
        f"scheduler {name}: shares of a group must sum to <= 1, got {sums.max()} "
        f"in group {int(sums.argmax())}"
    )
    raise ValueError(msg)


def _numbers(
    answer: Float[np.ndarray, "transfer group"], view: CellView, *, name: str
) -> Float[np.ndarray, "..."]:
    try:
        return np.asarray(answer, dtype=np.float64)
    except (TypeError, ValueError):  # lists of unequal length, words, objects
        msg = f"scheduler {name}: shares must be an array of numbers, got {type(answer).__name__}"
        raise ValueError(msg) from None


def check_activity(
    activity: Float[np.ndarray, " transfer"],
    shares: Float[np.ndarray, "transfer group"],
    *,
    name: str,
) -> Float[np.ndarray, " transfer"]:
    """Return the activity as float64 after checking shape and range.

    Parameters
    ----------
    activity
        Second answer of a scheduler's ``steady_state_shares``.
    shares
        First answer, checked.
    name
        Name of the scheduler, for the error message.

    Raises
    ------
    ValueError
        If there is not one value a transfer, or one is not in (0, 1] (NaN included) or is less
        than a share of the transfer.
    """
    checked = np.asarray(activity, dtype=np.float64)
    if checked.shape != shares.shape[:1]:
        msg = (
            f"scheduler {name}: activity must have shape {shares.shape[:1]} (transfer), "
            f"got {checked.shape}"
        )
        raise ValueError(msg)
    if not np.all((checked > 0) & (checked <= 1 + SUM_TOLERANCE)):
        msg = (
            f"scheduler {name}: activity must be in (0, 1], got {checked.min()} to {checked.max()}"
        )
        raise ValueError(msg)
    if np.any(shares.max(axis=1) > checked + SUM_TOLERANCE):
        worst = int((shares.max(axis=1) - checked).argmax())
        msg = (
            f"scheduler {name}: activity must be at least the largest share of the transfer, "
            f"{shares[worst].max()}, got {checked[worst]}"
        )
        raise ValueError(msg)
    return checked


def same_in_every_group(
    fraction: Float[np.ndarray, " transfer"], view: CellView
) -> Float[np.ndarray, "transfer group"]:
    """Return shares of one fraction of the band a transfer, the same in all groups."""
    return np.repeat(fraction[:, np.newaxis], view.group_rate_bps.shape[1], axis=1)
