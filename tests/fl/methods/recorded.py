"""A federation whose payloads are kept as they cross the link."""

from collections import defaultdict
from dataclasses import dataclass, field

from fl.methods.base import Contribution, server_part
from fl.payload import Payload
from fl.server.modes.sync import run_rounds
from tests.fl.fakes import SMALLEST, federation


@dataclass
class Recording:
    """Stands in for a method: asks it, and keeps what is sent, by version and client."""

    method: object
    downloads: dict = field(default_factory=lambda: defaultdict(dict))
    announced: dict = field(default_factory=lambda: defaultdict(dict))
    contributions: list[list[Contribution]] = field(default_factory=list)
    states: list = field(default_factory=list)

    def __getattr__(self, name):
        return getattr(self.method, name)

    def download(self, state, *, client_id):
        payload = self.method.download(state, client_id=client_id)
        self.downloads[state.version][client_id] = payload
        return payload

    def aggregate(self, state, contributions):
        self.contributions.append(sorted(contributions, key=lambda item: item.client_id))
        self.states.append(state)
        return self.method.aggregate(state, contributions)


def crossing(method, payload):
    """Give what of a merged payload crossed the link: all but what the server held."""
    if payload is None:
        return None
    held = server_part(method, payload.tensors)
    return Payload({name: each for name, each in payload.tensors.items() if name not in held})


def of_models(transfers):
    """Give the transfers of models: the first and the last of each participation.

    Others are of steps that a client does together with the server.
    """
    by_participation = defaultdict(list)
    for each in sorted(transfers, key=lambda each: each.requested_at_s):
        by_participation[each.participation_id].append(each)
    return [each for made in by_participation.values() for each in (made[0], made[-1])]


def recorded(kind, *, num_rounds=3, cohort=4, num_clients=4, config=None, **options):
    """Give a federation that has run, and what it sent."""
    played = federation(
        SMALLEST[kind] if config is None else config,
        num_clients=num_clients,
        cohort=cohort,
        num_rounds=num_rounds,
        **options,
    )
    played.method = Recording(played.method)
    played.env.run(until=played.env.process(run_rounds(played)))
    return played, played.method
