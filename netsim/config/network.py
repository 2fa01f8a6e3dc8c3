"""The ``network:`` section: what carries the transfers of a study.

``cellular`` is the radio network of the sections ``world:`` and ``radio:``. The other kinds know
rates, not radio channels: they use neither section.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, MinLen

Rate = Annotated[float, Gt(0), Le(1e12)]
"""Bits a second; more than 1 Tbit/s is a wrong unit (our choice)."""
Wait = Annotated[float, Ge(0), Le(600)]
"""Seconds; more than 10 minutes are a wrong unit (our choice)."""
Power = Annotated[float, Ge(0), Le(1000)]
"""Watts; more than 1 kW is a wrong unit (our choice)."""


@dataclass(frozen=True, kw_only=True)
class CellularNetworkConfig:
    """Sites, cells and radio channels: the sections ``world:`` and ``radio:``."""

    kind: Literal["cellular"] = "cellular"


CELLULAR = CellularNetworkConfig()
"""The kind of a scenario that names none."""


@dataclass(frozen=True, kw_only=True)
class ModemPowerConfig:
    """Power that the modem of a client draws, that of the idle phone not included.

    The defaults for sending and receiving are means of a phone on 5G standalone at 20 to 50 Mbit/s,
    screen and base load subtracted, as is the duration of the tail (logs of SIGCOMM21-5G/artifact).
    """

    transmit_w: Power = 2.08
    """Power while it sends [W]."""
    receive_w: Power = 1.19
    """Power while it receives [W]."""
    connected_w: Power = 0.59
    """Power while it waits, connected, before a transfer and in its tail [W] (our choice)."""
    tail_s: Wait = 10.2
    """Time from the last data to the release of the connection [s]; 0 W are counted after it."""


@dataclass(frozen=True, kw_only=True)
class ConstantNetworkConfig:
    """Constant rates: each client has its own link, all may share a total."""

    uplink_rate_bps: Rate
    """Uplink rate of each client [bit/s], shared by its transfers."""
    downlink_rate_bps: Rate
    """Downlink rate of each client [bit/s], shared by its transfers."""
    total_uplink_rate_bps: Rate | None = None
    """Uplink rate of all clients together [bit/s], shared max-min fairly by the transfers; ``None``
    is no limit."""
    total_downlink_rate_bps: Rate | None = None
    """The same in the downlink."""
    rtt_s: Wait = 0.05
    """Round-trip time to the server [s]; half of it is the latency of every transfer."""
    setup_s: Wait = 0.0
    """Fixed time before the first byte of every transfer [s]: grant, connection, handshake."""
    power: ModemPowerConfig = ModemPowerConfig()
    """Power of the clients' modems."""
    transfer_timeout_s: Annotated[float, Gt(0)] = 600.0
    """Time [s] after which an unfinished transfer ends undelivered."""
    kind: Literal["constant"] = "constant"


@dataclass(frozen=True, kw_only=True)
class TraceNetworkConfig:
    """Rates of each client over time, from a file: measured, or exported by another simulator."""

    path: str
    """A csv or parquet file with the columns ``client``, ``time_s``, ``uplink_mbps``,
    ``downlink_mbps``, and optionally ``rtt_s``, ``transmit_w`` and ``receive_w``."""
    assignment: Literal["by_id", "drawn"] = "by_id"
    """``by_id``: the file has the clients 0, 1, ... of the scenario; ``drawn``: each client gets
    one of the logs by the seed, and a start within it where logs repeat."""
    after_end: Literal["repeat", "hold"] = "repeat"
    """``repeat``: a log begins again after its end; ``hold``: it keeps its last values."""
    max_gap_s: Annotated[float, Gt(0)] = 10.0
    """Longest time between two rows of a client [s]; a longer one is a gap, which is refused."""
    rtt_s: Wait = 0.05
    """Round-trip time to the server [s], where the file has no column for it."""
    setup_s: Wait = 0.0
    """Fixed time before the first byte of every transfer [s]: grant, connection, handshake."""
    power: ModemPowerConfig = ModemPowerConfig()
    """Power of the clients' modems; columns of the file take the place of sending and receiving."""
    transfer_timeout_s: Annotated[float, Gt(0)] = 600.0
    """Time [s] after which an unfinished transfer ends undelivered."""
    kind: Literal["trace"] = "trace"


@dataclass(frozen=True, kw_only=True)
class WifiRateClass:
    """Clients of one rate on the air."""

    share: Annotated[float, Gt(0), Le(1)]
    """Share of the clients, on average; those of all classes sum to 1."""
    rate_bps: Rate
    """Rate of the physical layer [bit/s]."""


@dataclass(frozen=True, kw_only=True)
class WifiPowerConfig(ModemPowerConfig):
    """Power that the Wi-Fi of a client draws (all values are our choice)."""

    transmit_w: Power = 1.2
    """Power while it sends [W]."""
    receive_w: Power = 0.8
    """Power while it receives [W]."""
    connected_w: Power = 0.25
    """Power while it waits for the air, and in its tail [W]."""
    tail_s: Wait = 0.24
    """Time from the last data to sleep [s]; 0 W are counted after it."""


@dataclass(frozen=True, kw_only=True)
class WifiNetworkConfig:
    """Access points whose airtime is shared by the transfers of their clients."""

    num_access_points: Annotated[int, Gt(0)] = 1
    """Access points on channels of their own; client i is at access point i modulo their number."""
    rate_classes: Annotated[tuple[WifiRateClass, ...], MinLen(1)] = (
        WifiRateClass(share=0.4, rate_bps=72.2e6),
        WifiRateClass(share=0.4, rate_bps=43.3e6),
        WifiRateClass(share=0.2, rate_bps=14.4e6),
    )
    """Rates on the air; the default is our choice among the rates of 20 MHz and one stream."""
    efficiency: Annotated[float, Gt(0), Le(1)] = 0.65
    """Share of the airtime that carries data (our choice); the rest is contention and headers."""
    sharing: Literal["airtime", "throughput"] = "airtime"
    """What transfers at one access point have equal parts of: ``airtime``, or ``throughput``, where
    a slow client holds up the fast ones."""
    rtt_s: Wait = 0.03
    """Round-trip time to the server [s]; half of it is the latency of every transfer."""
    setup_s: Wait = 0.0
    """Fixed time before the first byte of every transfer [s]."""
    power: WifiPowerConfig = WifiPowerConfig()
    """Power of the clients' Wi-Fi."""
    transfer_timeout_s: Annotated[float, Gt(0)] = 600.0
    """Time [s] after which an unfinished transfer ends undelivered."""
    kind: Literal["wifi"] = "wifi"


NetworkConfig = (
    CellularNetworkConfig | ConstantNetworkConfig | TraceNetworkConfig | WifiNetworkConfig
)
RateNetworkConfig = ConstantNetworkConfig | TraceNetworkConfig | WifiNetworkConfig
"""The kinds that know rates, not radio channels."""
