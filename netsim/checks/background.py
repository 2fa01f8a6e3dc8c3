"""Rules of ``radio.background_load``: something is left to transfers, and cells carry the files."""

from collections.abc import Iterator

from netsim.config import standard
from netsim.config.radio import BackgroundShare, BackgroundUsers, RadioConfig, TddDuplex
from netsim.config.world import WorldConfig
from netsim.frequency_range import frequency_range
from netsim.phy.block_sizes import ELEMENTS_PER_BLOCK
from netsim.phy.mcs import mcs_table
from netsim.phy.resource_grid import blocks_left, num_resource_blocks, slot_duration_s
from netsim.problems import Problem

PATH = ("radio", "background_load")


def find_problems(world: WorldConfig, radio: RadioConfig) -> Iterator[Problem]:
    """Find background traffic that leaves nothing to transfers, or that no cell can carry.

    Parameters
    ----------
    world, radio
        Sections whose bandwidth and spacing are a pair of the standard.
    """
    num_blocks = num_resource_blocks(
        radio.bandwidth_hz, radio.subcarrier_spacing_hz, band=frequency_range(world.carrier_hz)
    )
    load = radio.background_load
    if isinstance(load, BackgroundShare):
        yield from _share_problems(load, num_blocks)
    elif load.downlink_files_per_s + load.uplink_files_per_s == 0:
        yield Problem(
            (*PATH, "num_users"),
            "has no effect with downlink_files_per_s 0 and uplink_files_per_s 0",
        )
    else:
        yield from _overload_problems(load, world, radio, num_blocks)


def _share_problems(load: BackgroundShare, num_blocks: int) -> Iterator[Problem]:
    for key in ("downlink_fraction", "uplink_fraction"):
        fraction = getattr(load, key)
        if blocks_left(num_blocks, fraction) < 1:
            yield Problem(
                (*PATH, key),
                f"must leave at least one of {num_blocks} resource blocks, got {fraction:g}",
            )


def _overload_problems(
    load: BackgroundUsers, world: WorldConfig, radio: RadioConfig, num_blocks: int
) -> Iterator[Problem]:
    """Find a load that is above what all cells carry even at the highest MCS.

    A lower one may still be too much, as the rates of users depend on their places.
    """
    num_cells = standard.num_cells(world)
    highest = float(mcs_table(radio.mcs_table).spectral_efficiency.max())
    duplex = radio.duplex
    uplink_part = duplex.uplink_fraction if isinstance(duplex, TddDuplex) else 1.0
    downlink_part = 1.0 - uplink_part if isinstance(duplex, TddDuplex) else 1.0
    for direction, part, overhead_fraction in (
        ("downlink", downlink_part, standard.downlink_overhead_fraction(world, radio)),
        ("uplink", uplink_part, standard.uplink_overhead_fraction(world, radio)),
    ):
        key = f"{direction}_files_per_s"
        offered_bps = 8.0 * load.num_users * getattr(load, key) * load.file_bytes
        elements = num_blocks * ELEMENTS_PER_BLOCK * (1.0 - overhead_fraction)
        slot_s = slot_duration_s(radio.subcarrier_spacing_hz)
        carried_bps = num_cells * part * elements * highest / slot_s
        if offered_bps >= carried_bps:
            cells = "one cell" if num_cells == 1 else f"{num_cells} cells"
            yield Problem(
                (*PATH, key),
                f"must offer less than {cells} can carry, {carried_bps:.4g} bit/s at the highest "
                f"MCS, or files queue up without bound; got {offered_bps:.4g} bit/s "
                f"(num_users x {key} x 8 x file_bytes)",
            )
