"""A user's own files on which rows depend (code, traces, sites, devices); for the manifest."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from fl.clients.availability.trace import TraceAvailability
from fl.clients.config import DeviceFileConfig
from fl.methods.own import OwnConfig
from fl.policies.own import OwnPolicyConfig
from fl.rewards.config import BUILT_IN_PAIRS, FolderReward, OwnReward, TrainedReward
from netsim.config.network import TraceNetworkConfig
from netsim.config.sites import SitesLayout
from netsim.config.world import TraceMobility
from scenarios.network import cellular_sections
from scenarios.schema import Scenario
from scenarios.variants import Variant


def own_file_digests(variants: Sequence[Variant]) -> dict[str, str]:
    """Return the SHA-256 of every such file that a variant names, by its path as it is named."""
    names = sorted({name for variant in variants for name in file_names(variant.scenario)})
    return {
        name: hashlib.sha256(Path(name).expanduser().read_bytes()).hexdigest() for name in names
    }


def file_names(scenario: Scenario) -> Iterator[str]:
    """Yield every such file that a scenario names, as it is named."""
    sections = cellular_sections(scenario)
    if sections is not None:
        path, separator, _ = sections.radio.scheduler.rpartition(":")
        if separator:
            yield path
        layout = None if scenario.world is None else scenario.world.layout
        if isinstance(layout, SitesLayout) and layout.path is not None:
            yield layout.path
        if isinstance(sections.world.mobility, TraceMobility):
            yield sections.world.mobility.path
    if isinstance(scenario.network, TraceNetworkConfig):
        yield scenario.network.path
    if isinstance(scenario.clients.devices, DeviceFileConfig):
        yield scenario.clients.devices.path
    if isinstance(scenario.clients.availability, TraceAvailability):
        yield scenario.clients.availability.path
    if isinstance(scenario.server.policy, OwnPolicyConfig):
        yield scenario.server.policy.kind.rpartition(":")[0]
    yield from _reward_files(scenario)
    for method in scenario.methods:
        if isinstance(method, OwnConfig):
            yield method.kind.rpartition(":")[0]


def _reward_files(scenario: Scenario) -> Iterator[str]:
    """Yield the files of rewards: code, and tables of preference pairs."""
    rewards = scenario.rewards
    for reward in () if rewards is None else rewards.named.values():
        if isinstance(reward, OwnReward):
            yield reward.kind.rpartition(":")[0]
        elif isinstance(reward, TrainedReward | FolderReward):
            is_table = reward.pairs is not None and reward.pairs not in BUILT_IN_PAIRS
            yield from [str(reward.pairs)] if is_table else []
