"""Rules against settings without effect, which are taken for mistakes."""

from collections.abc import Iterator

from netsim.config import standard
from netsim.config.radio import (
    A3Handover,
    BackgroundShare,
    LinkFailureConfig,
    MaxPowerReduction,
    NoFading,
    NoHandover,
    OuterLoopAdaptation,
    RadioConfig,
)
from netsim.config.world import (
    CorrelatedShadowing,
    IndoorOfficeLayout,
    StaticMobility,
    WorldConfig,
)
from netsim.mac.schedulers import SCHEDULERS, Scheduler, follows_fades
from netsim.problems import Problem


def find_problems(world: WorldConfig, radio: RadioConfig) -> Iterator[Problem]:
    """Find settings that differ from their default and have no effect with the other settings.

    Parameters
    ----------
    world, radio
        The sections as they stand in the scenario.
    """
    yield from _place_effects(world)
    yield from _entry_effects(world)
    yield from _time_effects(world, radio)
    yield from _handover_effects(world, radio)
    yield from _failure_effects(world, radio)
    yield from _load_effects(world, radio)
    yield from _antenna_effects(radio)
    yield from _combining_effects(world, radio)
    reduction = radio.uplink_power.max_power_reduction
    if (
        reduction is not None
        and radio.mcs_table == 1
        and reduction.qam256_db != MaxPowerReduction.qam256_db
    ):
        yield _problem(
            "radio.uplink_power.max_power_reduction.qam256_db",
            "has no effect with mcs_table 1, which ends at 64QAM",
        )
    loop = radio.link_adaptation
    if (
        isinstance(loop, OuterLoopAdaptation)
        and loop.step_up_db != OuterLoopAdaptation.step_up_db
        and radio.engine == "flow"
        and isinstance(radio.fading, NoFading)
    ):
        yield _problem(
            "radio.link_adaptation.step_up_db",
            "has no effect in engine flow without fading, where the loop settles; use engine slot",
        )


def _problem(path: str, message: str) -> Problem:
    return Problem(tuple(path.split(".")), message)


def _place_effects(world: WorldConfig) -> Iterator[Problem]:
    layout, shadowing = world.layout, world.shadowing
    if (
        isinstance(layout, IndoorOfficeLayout)
        and layout.office != IndoorOfficeLayout.office
        and world.line_of_sight != "probability"
    ):
        yield _problem(
            "world.layout.office", f"has no effect with line_of_sight {world.line_of_sight}"
        )
    if (
        isinstance(shadowing, CorrelatedShadowing)
        and shadowing.site_correlation > 0
        and standard.num_sites(world) == 1
    ):
        yield _problem(
            "world.shadowing.site_correlation",
            "has no effect with a single site: nothing to correlate it with",
        )


def _entry_effects(world: WorldConfig) -> Iterator[Problem]:
    """Find settings of penetration loss without clients in buildings or cars."""
    if world.indoor_fraction == 0 and world.penetration != WorldConfig.penetration:
        yield _problem("world.penetration", "has no effect with indoor_fraction 0")
    is_mixed = world.penetration == "mixed"
    if not is_mixed and world.high_loss_fraction != WorldConfig.high_loss_fraction:
        yield _problem(
            "world.high_loss_fraction", f"has no effect with penetration {world.penetration}"
        )
    if world.car_fraction == 0 and world.car_windows != WorldConfig.car_windows:
        yield _problem("world.car_windows", "has no effect with car_fraction 0")


def _time_effects(world: WorldConfig, radio: RadioConfig) -> Iterator[Problem]:
    fading = radio.fading
    if (
        _is_static(world)
        and _is_unfaded(radio)
        and radio.channel_tick_s != RadioConfig.channel_tick_s
    ):
        yield _problem(
            "radio.channel_tick_s", "has no effect: nothing in this scenario changes with time"
        )
    if isinstance(fading, NoFading):
        if radio.knowledge_delay_slots != RadioConfig.knowledge_delay_slots:
            yield _problem("radio.knowledge_delay_slots", "has no effect without fading")
    elif fading.mode == "ergodic" and radio.engine == "slot":
        yield _problem("radio.fading.mode", "ergodic has no meaning slot by slot; use block")
    elif radio.scheduler in SCHEDULERS:
        problem = find_ergodic_problem(radio, SCHEDULERS[radio.scheduler]())
        if problem is not None:
            yield problem


def find_ergodic_problem(radio: RadioConfig, scheduler: Scheduler) -> Problem | None:
    """Return the broken rule, if any, of an ergodic mode with a scheduler that follows fades.

    Ergodic rates are means over all fades; such a scheduler serves a client at good ones.

    Parameters
    ----------
    radio
        The section as it stands in the scenario.
    scheduler
        An instance of ``radio.scheduler``, which may be a user's own.
    """
    if not _is_ergodic(radio) or not follows_fades(scheduler):
        return None
    return _problem(
        "radio.fading.mode",
        "must be block with a scheduler that follows fades (looks at average rates, or looks at "
        f"rates and is exclusive), got ergodic with {radio.scheduler}",
    )


def _handover_effects(world: WorldConfig, radio: RadioConfig) -> Iterator[Problem]:
    """Find settings of handover where none can happen."""
    handover = radio.handover
    if isinstance(handover, NoHandover) or handover == A3Handover():
        return
    if standard.has_single_cell(world):
        yield _problem("radio.handover", "has no effect with a single cell")
    elif _is_static(world) and not standard.sites_fail(radio):
        yield _problem("radio.handover", "has no effect: no client ever moves and no site fails")


def _failure_effects(world: WorldConfig, radio: RadioConfig) -> Iterator[Problem]:
    """Find settings of link failure where none can happen; ``out_of_sync_db`` is used anyway.

    A link is measured when its client moves, it fades, its site fails or its interference changes.
    """
    is_interfering = radio.interference and not standard.has_single_cell(world)
    if not _is_static(world) or not _is_unfaded(radio):
        return
    if standard.sites_fail(radio) or is_interfering:
        return
    for name in ("in_sync_db", "timer_s", "recovery_s"):
        if getattr(radio.link_failure, name) != getattr(LinkFailureConfig, name):
            yield _problem(
                f"radio.link_failure.{name}",
                "has no effect: no client ever moves, no site fails, nothing fades or disturbs",
            )


def _load_effects(world: WorldConfig, radio: RadioConfig) -> Iterator[Problem]:
    background = standard.background_share(radio)
    single = standard.has_single_cell(world)
    if single and not radio.interference and background == BackgroundShare():
        yield _problem("radio.interference", "has no effect with a single cell")
    if radio.energy.site_sleep_after_s is not None and background.downlink_fraction > 0:
        yield _problem(
            "radio.energy.site_sleep_after_s",
            "has no effect with background_load.downlink_fraction > 0: no site is ever "
            "silent while it has power",
        )


def _antenna_effects(radio: RadioConfig) -> Iterator[Problem]:
    """Find a correlation of antennas where there is one, or where nothing fades."""
    if radio.site_rx_correlation == RadioConfig.site_rx_correlation:
        return
    path = "radio.site_rx_correlation"
    if radio.site_rx_antennas == 1:
        yield _problem(path, "has no effect with site_rx_antennas 1")
    elif isinstance(radio.fading, NoFading):
        yield _problem(path, "has no effect without fading: the array gain does not depend on it")


def _combining_effects(world: WorldConfig, radio: RadioConfig) -> Iterator[Problem]:
    """Find MMSE combining where there is nothing to suppress, or nothing to suppress it with."""
    if radio.site_combining == "mrc":
        return
    path = "radio.site_combining"
    if radio.site_rx_antennas == 1:
        yield _problem(path, "mmse has no effect with site_rx_antennas 1")
    if not radio.interference:
        yield _problem(path, "mmse has no effect without interference: there is none to suppress")
    elif standard.has_single_cell(world):
        yield _problem(path, "mmse has no effect with a single cell: no interference to suppress")


def _is_ergodic(radio: RadioConfig) -> bool:
    return not isinstance(radio.fading, NoFading) and radio.fading.mode == "ergodic"


def _is_unfaded(radio: RadioConfig) -> bool:
    """Return whether gains do not follow the fading."""
    return isinstance(radio.fading, NoFading) or _is_ergodic(radio)


def _is_static(world: WorldConfig) -> bool:
    return isinstance(world.mobility, StaticMobility)
