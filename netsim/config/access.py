"""The ``radio.access:`` section: what a transfer costs in time beside its bits on the air.

Every part may be ``null``, which switches it off. Values said to be measured are those of phones on
public networks in the USA in 2020 and 2021 (RRC-Probe of github.com/SIGCOMM21-5G/artifact).
"""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le

Wait = Annotated[float, Ge(0), Le(60)]
"""Seconds; more than a minute is a wrong unit (our choice)."""
Period = Annotated[float, Gt(0), Le(60)]
"""The same for what must last."""


@dataclass(frozen=True, kw_only=True)
class ConnectionConfig:
    """Connection of a client to the network: how long it takes to have one again.

    It is released where the tail of ``radio.ue_power`` ends. Then comes INACTIVE, then IDLE.
    """

    setup_s: Wait = 0.30
    """Time from IDLE to a connection, random access included [s]; 0.25 to 0.4 of measured phones.
    What a client sends waits for it, and what it is sent once it has been paged."""
    resume_s: Wait = 0.06
    """The same from INACTIVE [s] (our choice)."""
    inactive_s: Wait | None = None
    """Time in INACTIVE after the release [s]; ``None``: 4.8 with the profile ``t_mobile_sa``, as
    measured, 0 with the others, which go straight to IDLE, and 5 with ``tr38840`` (our choice)."""


@dataclass(frozen=True, kw_only=True)
class DrxConfig:
    """Connected-mode discontinuous reception: a connected client that has been quiet for a while.

    ``inactivity_s`` and ``cycle_s`` belong to measured phones; with the power states of TR 38.840
    they are those of ``radio.ue_power``.
    """

    wake_up_s: Wait = 0.005
    """Time until such a client can send [s] (our choice)."""
    inactivity_s: Wait | None = None
    """Time after the last data in which it is awake [s]; ``None`` is 0.5: up to there measured
    round trips have no wait."""
    cycle_s: Period | None = None
    """Cycle [s]: what it is sent waits for a uniform part of it. ``None``: 0.04 with the profiles
    ``t_mobile_sa`` and ``verizon_mmwave``, 0.32 with the others, after measured round trips."""


@dataclass(frozen=True, kw_only=True)
class PagingConfig:
    """Paging: what a client without a connection is sent waits for a uniform part of a cycle."""

    idle_cycle_s: Period = 1.28
    """Cycle in IDLE [s], after measured round trips."""
    inactive_cycle_s: Period = 0.64
    """Cycle in INACTIVE [s] (our choice)."""


@dataclass(frozen=True, kw_only=True)
class GrantConfig:
    """Scheduling: from data at the sender to the first slot that it may be sent in."""

    request_period_s: Period = 0.01
    """Distance of opportunities for a scheduling request [s] (our choice): an upload waits for a
    uniform part of it."""
    first_grant_s: Wait = 0.005
    """From the request to the first grant, which is for a buffer status report [s]; 4.8 ms from the
    request to decoded data in a log of srsRAN (issue 603 of srsran/srsRAN_Project)."""
    second_grant_s: Wait = 0.005
    """From the report to the grant for the data [s] (our choice)."""
    downlink_s: Wait = 0.002
    """From data at the site to its first slot [s] (our choice)."""


@dataclass(frozen=True, kw_only=True)
class SessionConfig:
    """Transport between client and server, over round trips of ``rtt_s``; a broadcast has none."""

    handshake_round_trips: Annotated[int, Ge(0), Le(10)] = 2
    """Round trips before the first byte, unless the client is still connected and so its session is
    alive: 1 for TLS 1.3 (RFC 9001 for QUIC) and 1 more for TCP (our choice)."""
    initial_window_bytes: Annotated[int, Ge(1), Le(10**9)] | None = 14_600
    """Bytes that slow start sends in its first round trip, doubled in each one after it, up to what
    the client's link carries in a round trip; 14,600 as in QUIC. ``None``: no slow start."""


@dataclass(frozen=True, kw_only=True)
class AccessConfig:
    """Fixed costs of a transfer, in the order in which they come. ``null`` switches a part off."""

    connection: ConnectionConfig | None = ConnectionConfig()
    """Set-up or resumption of the connection."""
    drx: DrxConfig | None = DrxConfig()
    """Discontinuous reception of connected clients."""
    paging: PagingConfig | None = PagingConfig()
    """Paging of clients without a connection."""
    grant: GrantConfig | None = GrantConfig()
    """Scheduling requests and grants; with it, transfers begin at the start of a slot."""
    rtt_s: Annotated[float, Gt(0), Le(10)] | None = 0.05
    """Round-trip time between site and server [s], without the waits of the radio and without
    ``radio.backhaul``; medians of speed tests are 52 to 67 ms. Half of it is the latency of every
    transfer."""
    session: SessionConfig | None = SessionConfig()
    """Handshake and slow start; needs ``rtt_s``."""


DEFAULT_ACCESS = AccessConfig()
NO_ACCESS = AccessConfig(
    connection=None, drx=None, paging=None, grant=None, rtt_s=None, session=None
)
"""Every part switched off: a transfer is on the air at once, and arrives with its last bit."""
