"""Who shares which link, and how: one class a kind of sharing.

A link has a rate over time; each of its transfers gets a part of it, constant until a transfer
comes or goes. Where the rates of clients differ on one link, they are constant in time, the link
has rate 1 and the parts are the rates themselves.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from netsim.access_networks.access import Access
from netsim.access_networks.step_function import StepFunction, constant
from netsim.transport.transfers import Direction

LinkKey = tuple[str, int]
"""Names a link: what it is, and whose."""
UNIT_RATE = constant(1.0)


@dataclass(frozen=True, slots=True)
class Member:
    """A transfer as its link sees it."""

    client_id: int
    direction: Direction


@dataclass(frozen=True, slots=True)
class Grant:
    """What a transfer has of its link."""

    rate: float
    """Factor on the rate of the link: bits that move for every bit of the link."""
    airtime: float
    """Share of time in which the modem of its client is busy with it; those of a client and
    direction sum to at most 1."""


class Medium(Protocol):
    """The links of a network."""

    def link_of(self, member: Member) -> LinkKey:
        """Return the link that carries a client's transfers in a direction."""

    def rate_of(self, key: LinkKey) -> StepFunction:
        """Return the rate of a link over time [bit/s]."""

    def grants(self, key: LinkKey, members: Sequence[Member]) -> list[Grant]:
        """Return what each of the transfers on a link has, in their order."""

    def alone_bps(self, member: Member, at_s: float) -> float:
        """Return the rate of a client that is alone in the network [bit/s]."""

    def cell_id(self, client_id: int) -> int:
        """Return the number of the client's access point; 0 where there is none to tell apart."""


class OwnLinks:
    """Every client has a link of its own in each direction, which its transfers share equally."""

    def __init__(self, accesses: Sequence[Access]) -> None:
        self._accesses = accesses

    def link_of(self, member: Member) -> LinkKey:
        """Return the client's own link."""
        return member.direction, member.client_id

    def rate_of(self, key: LinkKey) -> StepFunction:
        """Return the rate of the client."""
        direction: Direction = "uplink" if key[0] == "uplink" else "downlink"
        return self._accesses[key[1]].rate_bps[direction]

    def grants(self, key: LinkKey, members: Sequence[Member]) -> list[Grant]:
        """Return equal parts."""
        del key
        return [Grant(1.0 / len(members), 1.0 / len(members))] * len(members)

    def alone_bps(self, member: Member, at_s: float) -> float:
        """Return the rate of the client at an instant."""
        return self._accesses[member.client_id].rate_bps[member.direction].value(at_s)

    def cell_id(self, client_id: int) -> int:
        """Return 0: there are no access points."""
        return 0 * client_id


class TotalRate:
    """Constant rates of clients below a rate of all together, which is shared max-min fairly.

    Parameters
    ----------
    accesses
        By client id; their rates do not change.
    total_bps
        Rate of all clients together in a direction [bit/s]; without it they have own links.
    """

    def __init__(self, accesses: Sequence[Access], total_bps: Mapping[Direction, float]) -> None:
        self._own = OwnLinks(accesses)
        self._total_bps = total_bps

    def link_of(self, member: Member) -> LinkKey:
        """Return the one link of a direction with a total, else the client's own."""
        return (
            ("total", 0 if member.direction == "uplink" else 1)
            if (member.direction in self._total_bps)
            else self._own.link_of(member)
        )

    def rate_of(self, key: LinkKey) -> StepFunction:
        """Return 1 where the parts are the rates themselves."""
        return UNIT_RATE if key[0] == "total" else self._own.rate_of(key)

    def grants(self, key: LinkKey, members: Sequence[Member]) -> list[Grant]:
        """Return max-min fair rates; transfers of one client share its own rate equally."""
        if key[0] != "total":
            return self._own.grants(key, members)
        num_of_client = Counter(member.client_id for member in members)
        limits_bps = [
            self._own.alone_bps(member, 0.0) / num_of_client[member.client_id] for member in members
        ]
        rates_bps = max_min_fair(limits_bps, self._total_bps[members[0].direction])
        return [
            Grant(rate_bps, 1.0 / num_of_client[member.client_id])
            for rate_bps, member in zip(rates_bps, members, strict=True)
        ]

    def alone_bps(self, member: Member, at_s: float) -> float:
        """Return the client's own rate or the total, whichever is lower."""
        own_bps = self._own.alone_bps(member, at_s)
        return min(own_bps, self._total_bps.get(member.direction, own_bps))

    def cell_id(self, client_id: int) -> int:
        """Return 0: there are no access points."""
        return self._own.cell_id(client_id)


class SharedAirtime:
    """Access points whose airtime their transfers share, uplink and downlink together.

    Every transfer contends alike, in whichever direction (our choice).

    Parameters
    ----------
    accesses
        By client id; their rates do not change.
    num_access_points
        Client i is at access point i modulo this number.
    sharing
        What transfers have equal parts of.
    """

    def __init__(
        self,
        accesses: Sequence[Access],
        *,
        num_access_points: int,
        sharing: Literal["airtime", "throughput"],
    ) -> None:
        self._own = OwnLinks(accesses)
        self._num_access_points = num_access_points
        self._sharing = sharing

    def link_of(self, member: Member) -> LinkKey:
        """Return the air of the client's access point."""
        return "access_point", self.cell_id(member.client_id)

    def rate_of(self, key: LinkKey) -> StepFunction:
        """Return 1: the parts are the rates themselves."""
        del key
        return UNIT_RATE

    def grants(self, key: LinkKey, members: Sequence[Member]) -> list[Grant]:
        """Return equal airtimes, or those of equal rates."""
        del key
        rates_bps = [self.alone_bps(member, 0.0) for member in members]
        wanted = [1.0 if self._sharing == "airtime" else 1.0 / rate for rate in rates_bps]
        return [
            Grant(rate_bps * part / sum(wanted), part / sum(wanted))
            for rate_bps, part in zip(rates_bps, wanted, strict=True)
        ]

    def alone_bps(self, member: Member, at_s: float) -> float:
        """Return the rate of the client with all the airtime."""
        return self._own.alone_bps(member, at_s)

    def cell_id(self, client_id: int) -> int:
        """Return the access point of the client."""
        return client_id % self._num_access_points


def max_min_fair(limits: Sequence[float], total: float) -> list[float]:
    """Share a total so that nobody can have more without someone smaller having less.

    Parameters
    ----------
    limits
        Most that each can use.
    total
        What there is.

    Examples
    --------
    >>> max_min_fair([1.0, 10.0, 10.0], 9.0)
    [1.0, 4.0, 4.0]
    """
    shares = [0.0] * len(limits)
    left = total
    order = sorted(range(len(limits)), key=lambda index: limits[index])
    for num_done, index in enumerate(order):
        shares[index] = min(limits[index], left / (len(limits) - num_done))
        left -= shares[index]
    return shares
