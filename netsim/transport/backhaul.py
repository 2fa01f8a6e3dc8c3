"""From the sites to the server: a graph of wired links with rates and latencies.

A route is the path of least latency over the links that are whole. A cut link sends its traffic
another way round; a site without any way is unreachable, and transfers through it fail. Routes are
a function of time, so nothing here has state.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from netsim.config.radio import BackhaulLink, LinkCut
from netsim.problems import Problem

if TYPE_CHECKING:
    import networkx as nx

SERVER = "server"


@dataclass(frozen=True, slots=True)
class Route:
    """The way from a site to the server."""

    nodes: tuple[str, ...]
    """From the site to the server, both included."""
    link_ids: tuple[int, ...]
    """Indices of the links crossed."""
    latency_s: float
    """Sum over the links, one way."""
    rate_bps: float
    """Least of the links' rates; inf when none has a limit."""


def site_name(site_id: int) -> str:
    """Return the name of a site's node."""
    return f"site-{site_id}"


def star(
    num_sites: int, *, latency_s: float = 0.0, rate_bps: float | None = None
) -> tuple[BackhaulLink, ...]:
    """One like link from each site straight to the server."""
    return tuple(
        BackhaulLink(ends=(site_name(site_id), SERVER), latency_s=latency_s, rate_bps=rate_bps)
        for site_id in range(num_sites)
    )


class Backhaul:
    """Routes and shared rates of a graph of links.

    Parameters
    ----------
    links
        The graph; see :func:`find_problems` for its rules.
    cuts
        Planned failures of links.
    num_sites
        Sites 0 .. num_sites - 1 send through it.

    Raises
    ------
    ValueError
        If the graph breaks a rule; the message lists all of them.
    """

    def __init__(
        self,
        links: Sequence[BackhaulLink],
        *,
        num_sites: int,
        cuts: Sequence[LinkCut] = (),
    ) -> None:
        problems = find_problems(links, num_sites=num_sites, cuts=cuts, path=("backhaul",))
        if problems:
            raise ValueError("; ".join(f"{'.'.join(p.path)}: {p.message}" for p in problems))
        self.links = tuple(links)
        self._cuts = tuple(cuts)
        self._num_sites = num_sites
        self._routes: dict[frozenset[int], tuple[Route | None, ...]] = {}
        self._latency_s: dict[frozenset[int], Float[np.ndarray, " site"]] = {}
        self._crossing: dict[frozenset[int], tuple[np.ndarray, dict[int, np.ndarray]]] = {}

    @cached_property
    def graph(self) -> "nx.Graph[str]":
        """The whole graph; edges carry ``link_id``, ``latency_s`` and ``rate_bps``."""
        return _graph(self.links, frozenset())

    def routes(self, at_s: float) -> tuple[Route | None, ...]:
        """Return every site's route at an instant; ``None`` where there is no way to the server."""
        broken = self._broken(at_s)
        if broken not in self._routes:
            self._routes[broken] = self._find_routes(broken)
        return self._routes[broken]

    def route_latency_s(self, at_s: float) -> Float[np.ndarray, " site"]:
        """Return the one-way latency of each site's route [s]: 0 without a route."""
        broken = self._broken(at_s)
        if broken not in self._latency_s:
            routes = self.routes(at_s)
            self._latency_s[broken] = np.array(
                [0.0 if route is None else route.latency_s for route in routes]
            )
        return self._latency_s[broken]

    def route_rate_bps(self, at_s: float) -> Float[np.ndarray, " site"]:
        """Return the rate of each site's route [bit/s]: inf without a limit, 0 without a route."""
        routes = self.routes(at_s)
        return np.array([0.0 if route is None else route.rate_bps for route in routes])

    def next_edge_s(self, after_s: float) -> float:
        """Return when the next link breaks or is whole again, inf when none does."""
        if not self._cuts:
            return np.inf
        edges_s = [s for cut in self._cuts for s in (cut.started_at_s, cut.finished_at_s)]
        return min((edge_s for edge_s in edges_s if edge_s > after_s), default=np.inf)

    def share_bps(
        self,
        wanted_bps: Float[np.ndarray, " transfer"],
        site_id: Int[np.ndarray, " transfer"],
        *,
        at_s: float,
    ) -> Float[np.ndarray, " transfer"]:
        """Divide the links among the transfers of one direction: max-min fair.

        Parameters
        ----------
        wanted_bps
            What each could use (its rate over the air), >= 0.
        site_id
            Site of each.
        at_s
            Instant, for the routes.

        Returns
        -------
        Float[np.ndarray, " transfer"]
            At most what is wanted; 0 without a route. On every link the sum is at most its rate,
            and who gets less than wanted shares a full link on which nobody gets more.
        """
        has_route, crossing = self._crossings(at_s)
        given_bps = np.where(has_route[site_id], wanted_bps, 0.0)
        limited = {link_id: float(self.links[link_id].rate_bps or np.inf) for link_id in crossing}
        users = {link_id: by_site[site_id] for link_id, by_site in crossing.items()}
        return _max_min(given_bps, limited, users)

    def _crossings(self, at_s: float) -> tuple[np.ndarray, dict[int, np.ndarray]]:
        """Return which sites have a route, and which of them cross each link of limited rate."""
        broken = self._broken(at_s)
        if broken not in self._crossing:
            routes = self.routes(at_s)
            crossing = {
                link_id: np.array([r is not None and link_id in r.link_ids for r in routes])
                for link_id, link in enumerate(self.links)
                if link.rate_bps is not None
            }
            has_route = np.array([route is not None for route in routes])
            used = {link_id: users for link_id, users in crossing.items() if users.any()}
            self._crossing[broken] = has_route, used
        return self._crossing[broken]

    def _broken(self, at_s: float) -> frozenset[int]:
        if not self._cuts:
            return frozenset()
        cut = {
            frozenset(cut.ends)
            for cut in self._cuts
            if cut.started_at_s <= at_s < cut.finished_at_s
        }
        return frozenset(k for k, link in enumerate(self.links) if frozenset(link.ends) in cut)

    def _find_routes(self, broken: frozenset[int]) -> tuple[Route | None, ...]:
        import networkx as nx  # noqa: PLC0415 (a quarter of a second that only this needs)

        graph = _graph(self.links, broken)
        paths = nx.single_source_dijkstra_path(graph, SERVER, weight="latency_s")
        return tuple(
            self._route(graph, paths.get(site_name(site_id))) for site_id in range(self._num_sites)
        )

    def _route(self, graph: "nx.Graph[str]", path: list[str] | None) -> Route | None:
        if path is None:
            return None
        nodes = tuple(reversed(path))
        link_ids = tuple(int(graph.edges[one, other]["link_id"]) for one, other in pairwise(nodes))
        crossed = [self.links[k] for k in link_ids]
        return Route(
            nodes=nodes,
            link_ids=link_ids,
            latency_s=sum(link.latency_s for link in crossed),
            rate_bps=min(
                (link.rate_bps for link in crossed if link.rate_bps is not None), default=np.inf
            ),
        )


def _graph(links: Sequence[BackhaulLink], broken: frozenset[int]) -> "nx.Graph[str]":
    import networkx as nx  # noqa: PLC0415

    graph: nx.Graph[str] = nx.Graph()
    graph.add_node(SERVER)
    for link_id, link in enumerate(links):
        if link_id not in broken:
            graph.add_edge(
                *link.ends, link_id=link_id, latency_s=link.latency_s, rate_bps=link.rate_bps
            )
    return graph


def _max_min(
    wanted_bps: Float[np.ndarray, " transfer"],
    rate_bps: dict[int, float],
    users: dict[int, np.ndarray],
) -> Float[np.ndarray, " transfer"]:
    """Fill the links one after another, the one that limits most first."""
    given_bps = wanted_bps.copy()
    is_open = np.ones(len(wanted_bps), dtype=bool)
    left = dict(rate_bps)
    while left:
        levels = {}
        for link_id, rate in left.items():
            on_link = users[link_id]
            spare_bps = rate - given_bps[on_link & ~is_open].sum()
            levels[link_id] = _level_bps(wanted_bps[on_link & is_open], spare_bps)
        tightest = min(levels, key=lambda link_id: levels[link_id])
        if levels[tightest] == np.inf:
            break
        chosen = users[tightest] & is_open
        given_bps[chosen] = np.minimum(wanted_bps[chosen], levels[tightest])
        is_open &= ~chosen
        del left[tightest]
    return given_bps


def _level_bps(wanted_bps: Float[np.ndarray, " transfer"], rate_bps: float) -> float:
    """Return the level L with ``sum min(wanted, L) = rate``; inf when everything wanted fits."""
    if wanted_bps.sum() <= rate_bps:
        return np.inf
    ordered = np.sort(wanted_bps)
    below = np.append(0.0, np.cumsum(ordered)[:-1])
    level = (rate_bps - below) / np.arange(len(ordered), 0, -1)
    return max(float(level[int(np.argmax(level <= ordered))]), 0.0)


def find_problems(
    links: Sequence[BackhaulLink],
    *,
    num_sites: int,
    cuts: Sequence[LinkCut] = (),
    path: tuple[str, ...],
) -> list[Problem]:
    """List the broken rules of a backhaul.

    No link joins a node to itself, two nodes have at most one link, named sites exist, every site
    has a way to the server while all links are whole, cuts are of existing links and end after
    they start.
    """
    problems = []
    seen: set[frozenset[str]] = set()
    known = {site_name(site_id) for site_id in range(num_sites)}
    for k, link in enumerate(links):
        place = (*path, "links", str(k), "ends")
        ends = frozenset(link.ends)
        if len(ends) == 1:
            problems.append(Problem(place, f"must be two different nodes, got {link.ends[0]!r}"))
        if ends in seen:
            problems.append(Problem(place, f"must be new, {' and '.join(link.ends)} have a link"))
        seen.add(ends)
        problems += [
            Problem(place, f"no such site among {num_sites} sites, got {end!r}")
            for end in link.ends
            if end.startswith("site-") and end not in known
        ]
    cut_off = known - _reachable(links)
    if cut_off:
        rule = f"every site needs a way to {SERVER}, {min(cut_off)} has none"
        problems.append(Problem((*path, "links"), rule))
    for k, cut in enumerate(cuts):
        place = (*path, "cuts", str(k))
        if frozenset(cut.ends) not in seen:
            rule = f"no link joins {' and '.join(cut.ends)}"
            problems.append(Problem((*place, "ends"), rule))
        if cut.finished_at_s <= cut.started_at_s:
            rule = f"must be after started_at_s {cut.started_at_s:g}, got {cut.finished_at_s:g}"
            problems.append(Problem((*place, "finished_at_s"), rule))
    return problems


def _reachable(links: Sequence[BackhaulLink]) -> set[str]:
    """Return the nodes that have a way to the server."""
    neighbours: dict[str, list[str]] = {}
    for one, other in (link.ends for link in links):
        neighbours.setdefault(one, []).append(other)
        neighbours.setdefault(other, []).append(one)
    found, waiting = {SERVER}, [SERVER]
    while waiting:
        new = set(neighbours.get(waiting.pop(), ())) - found
        found |= new
        waiting += new
    return found
