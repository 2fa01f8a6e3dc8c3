"""Server modes: when the server asks and when it aggregates. One table, one entry a mode."""

from collections.abc import Generator
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from fl.server.config import (
    DeadlineServer,
    FedAsyncServer,
    FedBuffServer,
    HierarchicalServer,
    SemiAsyncServer,
    SyncServer,
)

if TYPE_CHECKING:
    import simpy

    from fl.server.federation import Federation


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeEntry:
    """One mode as the scenario and the command line see it."""

    config: type[Any]
    """Class of its settings."""
    summary: str
    source: str
    """Where the mode comes from."""

    @property
    def module(self) -> str:
        """Module whose ``run_rounds(federation)`` is the SimPy process of a whole run."""
        return f"{__name__}.{self.config.mode}"

    def run(self, federation: "Federation") -> "Generator[simpy.Event, Any, None]":
        """Return the SimPy process of a whole run; it ends with the run."""
        return import_module(self.module).run_rounds(federation)

    def check_start(self, federation: "Federation") -> None:
        """Refuse settings that cannot work in the world as it is at the start.

        Raises
        ------
        ValueError
            One line: key, rule and value.
        """
        check = getattr(import_module(self.module), "check_start", None)
        if check is not None:
            check(federation)


MODES: dict[str, ModeEntry] = {
    "sync": ModeEntry(
        config=SyncServer,
        summary="rounds that wait for every selected client, or for the first ones",
        source="arXiv:1602.05629",
    ),
    "deadline": ModeEntry(
        config=DeadlineServer,
        summary="rounds that end at a deadline; late updates are dropped or carried over",
        source="our choice",
    ),
    "semi_async": ModeEntry(
        config=SemiAsyncServer,
        summary="aggregates after so many updates or when time is up; who is late goes on",
        source="after FederatedScope",
    ),
    "fedasync": ModeEntry(
        config=FedAsyncServer,
        summary="mixes every update in at once, less the staler it is",
        source="arXiv:1903.03934",
    ),
    "fedbuff": ModeEntry(
        config=FedBuffServer,
        summary="merges a buffer of discounted changes when it is full",
        source="arXiv:2106.06639",
    ),
    "hierarchical": ModeEntry(
        config=HierarchicalServer,
        summary="averages at every site, and of the sites at the server",
        source="HierFAVG of LuminLiu/HierFL",
    ),
}
"""By the ``mode`` of the server's settings."""


def check_server(federation: "Federation") -> None:
    """Refuse settings of the server that cannot work in the world as it is at the start.

    Raises
    ------
    ValueError
        One line: key, rule and value.
    """
    MODES[federation.server.mode].check_start(federation)


def run_server(federation: "Federation") -> "Generator[simpy.Event, Any, None]":
    """Return the SimPy process of a run in the mode of the federation's server."""
    return MODES[federation.server.mode].run(federation)
