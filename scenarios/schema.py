"""The schema of a scenario file: one frozen dataclass, checked strictly once, at this edge.

The sections are defined where they are used (``netsim``, ``fl``); this module only joins them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, get_args

from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from fl.clients.config import ClientsConfig
from fl.data.config import DataConfig
from fl.methods import MethodConfig
from fl.models.config import ModelConfig
from fl.rewards.config import RewardsConfig
from fl.server.config import ServerConfig
from fl.server.faults import FaultsConfig
from fl.training.config import TrainingConfig
from netsim.config import RadioConfig, WorldConfig
from netsim.config.network import CELLULAR, NetworkConfig
from scenarios.document import Document
from scenarios.errors import ScenarioError
from scenarios.field_docs import describe
from scenarios.messages import explain
from scenarios.own_settings import gather, open_schema, spread

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$"
"""A name is a folder: it may neither leave the place of results nor be too long for it."""
MAX_SEED = 2**63 - 1
"""Largest whole number that tables of results hold."""
MAX_SEEDS = 1_000
"""Most replications: the interval of a mean is then within 1 / 16 of the spread."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Everything that defines a study; nothing else may influence its rows."""

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    name: Annotated[str, Field(pattern=NAME_PATTERN)]
    """Name of the study and of its result folder: 1 to 100 letters, digits, ``_``, ``.``, ``-``."""
    seeds: Annotated[tuple[Annotated[int, Ge(0), Le(MAX_SEED)], ...], MinLen(1), MaxLen(MAX_SEEDS)]
    """Replications, at most 1000: each seed is one world, in which every variant runs."""
    network: NetworkConfig = CELLULAR
    """What carries the transfers."""
    world: WorldConfig | None = None
    """Sites, propagation, mobility; of a cellular network, which needs it."""
    radio: RadioConfig | None = None
    """Spectrum, scheduling, power; of a cellular network, which needs it."""
    clients: ClientsConfig
    """How many clients, and what they compute with."""
    data: DataConfig
    """Texts and how clients share them."""
    model: ModelConfig
    """Backbone that is fine-tuned."""
    training: TrainingConfig
    """Local training of one job."""
    rewards: RewardsConfig | None = None
    """What answers are rewarded for, where methods or metrics need it."""
    server: ServerConfig
    """Rounds, policy, targets."""
    faults: FaultsConfig = field(default_factory=FaultsConfig)
    """What breaks when."""
    methods: Annotated[tuple[MethodConfig, ...], MinLen(1)]
    """Methods that are compared."""
    cases: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Named settings of several keys that belong together, by dotted key; each method runs in each
    case. A case of no keys, ``{}``, is the scenario as it stands."""
    matrix: dict[str, Annotated[list[Any], MinLen(1)]] = field(default_factory=dict)
    """Knobs by dotted key, each with the values to try; variants are all combinations."""


RADIO_SECTIONS = ("world", "radio")
"""Sections of a cellular network."""
RATE_KINDS = [each.kind for each in get_args(NetworkConfig) if each.kind != CELLULAR.kind]
"""Kinds of network that know no radio channels."""


def unused_section(kind: str) -> str:
    """Return what is wrong with sections of a radio network beside another kind of network."""
    return f"has no effect: network.kind {kind} has no radio channel; leave it out"


_ADAPTER: TypeAdapter[Scenario] = TypeAdapter(Scenario)


def validate(document: Document) -> Scenario:
    """Build a scenario from plain data.

    Raises
    ------
    ScenarioError
        With one line for every problem: where, which rule, which value, what would be right.
    """
    try:
        scenario = _ADAPTER.validate_json(json.dumps(gather(document.data, Scenario)))
    except ValidationError as error:
        raise ScenarioError(_explain(error.errors(), document)) from None
    # A kind that is left out would be taken from the first class whose keys fit: not what is meant.
    if unclear := explain((), document, Scenario):
        raise ScenarioError(unclear)
    return scenario


def _explain(errors: Sequence[ErrorDetails], document: Document) -> list[str]:
    """Return one line a problem; of a section that the kind of network does not use, that alone."""
    network = document.data.get("network")
    kind = network.get("kind") if isinstance(network, Mapping) else None
    if not isinstance(kind, str) or kind not in RATE_KINDS:
        return explain(errors, document, Scenario)
    at_fault = {str(error["loc"][0]) for error in errors if error["loc"]}
    unused = [name for name in RADIO_SECTIONS if name in at_fault]
    others = [error for error in errors if not error["loc"] or error["loc"][0] not in unused]
    used = replace(document, data={**document.data, **dict.fromkeys(unused)})
    lines = [f"{_setter(document, name)}: {name}: {unused_section(kind)}" for name in unused]
    return [*lines, *explain(others, used, Scenario)]


def _setter(document: Document, section: str) -> str:
    """Return the last option that set something in a section, else the place of the section."""
    options = [option for path, option in document.overrides.items() if path[0] == section]
    return options[-1] if options else document.place((section,))


def to_data(scenario: Scenario) -> dict[str, Any]:
    """Return the resolved scenario as plain data, every key present; ``validate`` reads it back."""
    data: Mapping[str, Any] = _ADAPTER.dump_python(scenario, mode="json")
    return dict(spread(data, Scenario))


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of a scenario file, for editors; every key has its description."""
    schema = _ADAPTER.json_schema()
    describe(schema, Scenario)
    open_schema(schema)
    return schema
