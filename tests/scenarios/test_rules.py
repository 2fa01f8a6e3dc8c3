"""Bounds and rules that a scenario file meets: one line each, at its place."""

import pytest

from scenarios.errors import ScenarioError
from scenarios.load import load


def problems_of(*overrides):
    with pytest.raises(ScenarioError) as caught:
        load("quickstart", list(overrides))
    return caught.value.problems


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("radio.background_load={kind: share, uplink_rise_db: 1e6}",
         "uplink_rise_db: must be <= 40, got"),
        ("radio.background_load={uplink_fraction: 0.5}",
         "radio.background_load.kind: missing; it is one of share, users"),
        ("radio.background_load={kind: users, num_users: 0, uplink_files_per_s: 0.1}",
         "radio.background_load.num_users: must be >= 1, got 0"),
        ("radio.background_load={kind: users, num_users: 9}",
         "radio.background_load.num_users: has no effect with downlink_files_per_s 0 and uplink_"),
        ("radio.background_load={kind: users, num_users: 9, uplink_files_per_s: -1}",
         "radio.background_load.uplink_files_per_s: must be >= 0, got -1"),
        ("radio.background_load={kind: users, num_users: 9, uplink_files_per_s: 1, file_bytes: 0}",
         "radio.background_load.file_bytes: must be >= 1, got 0"),
        ("radio.background_load={kind: users, num_users: 9, uplink_files_per_s: 1,"
         " give_up_after_s: 0}", "radio.background_load.give_up_after_s: must be > 0, got 0"),
        ("radio.background_load={kind: users, num_users: 9, uplink_files_per_s: 1, warm_up_s: -1}",
         "radio.background_load.warm_up_s: must be >= 0, got -1"),
        ("radio.background_load={kind: users, num_users: 500, downlink_files_per_s: 1}",
         "radio.background_load.downlink_files_per_s: must offer less than 3 cells can carry, "),
        ("clients.num_clients=1000001", "clients.num_clients: must be <= 1000000, got 1000001"),
        ("clients.num_clients=100001",
         "clients.num_clients: must be <= 100000 with network.kind cellular, got 100001"),
        ("data.partition={kind: sampled, num_texts: 20}",
         "data.partition.kind: sampled needs training.mode none: clients would train on"),
        ("data.partition={kind: sampled, num_texts: 1}",
         "data.partition.num_texts: must be >= 2, got 1"),
        ("radio.site_power_dbm=-400", "radio.site_power_dbm: must be >= 0, got -400"),
        ("radio.ue_noise_figure_db=1e5", "ue_noise_figure_db: must be <= 30, got"),
        ("radio.site_noise_figure_db=1e5", "site_noise_figure_db: must be <= 30, got"),
        ("radio.site_rx_antennas=3", "site_rx_antennas: must be one of 1, 2, 4, 8 or 64, got 3"),
        ("radio.site_combining=zf", "site_combining: must be one of 'mrc' or 'mmse', got 'zf'"),
        ("radio.site_rx_correlation=1.2", "site_rx_correlation: must be <= 1, got 1.2"),
        ("radio.fading={kind: rician, k_db: 1e5}", "k_db: must be <= 40, got"),
        ("radio.fading={kind: rician, k_db: -1e5}", "k_db: must be >= -40, got"),
        ("radio.knowledge_delay_slots=1000000000", "knowledge_delay_slots: must be <= 1000, got"),
        ("radio.link_failure={in_sync_db: 1e3}", "in_sync_db: must be <= 40, got"),
        ("radio.channel_tick_s=1e-9", "channel_tick_s: must be >= one slot, 0.0005 s, got 1e-09"),
        ("radio.site_power_dbm=60",
         ": radio.site_power_dbm: must be <= 46.02 dBm, the most that a cell of energy.site_class"
         " macro radiates, got 60"),
        ("radio.ue_power={kind: measured, tail_w: -0.1}",
         "radio.ue_power.tail_w: must be >= 0, got -0.1"),
        ("radio.ue_power={kind: measured, profile: verizon_lte}",
         "radio.ue_power.screen_w: must be given with profile verizon_lte, whose powers hold the"),
        ("radio.energy={site_class: femto}", "radio.energy.site_class: femto radiates at most"),
        ("world.site_height_m=1", ": world.site_height_m: must be within 15 and 50 in environment"),
        ("world.ue_height_m=100", ": world.ue_height_m: must be within 1.5 and 22.5 in environ"),
        ("clients.availability={kind: markov, mean_on_s: 0, mean_off_s: 5}",
         "clients.availability.mean_on_s: must be > 0, got 0"),
        ("clients.availability={kind: diurnal, begin_h: 24, duration_h: 3}",
         "clients.availability.begin_h: must be < 24, got 24"),
        ("clients.availability={kind: diurnal, begin_h: 2, duration_h: 20, spread_h: 2}",
         "clients.availability.spread_h: duration_h + 2 spread_h must be < 24: windows of two"),
        ("clients.availability={kind: trace, path: nowhere.csv}",
         "clients.availability.path: must be a file, got"),
        ("clients.availability={kind: sometimes}",
         "unknown kind 'sometimes'; valid here: always, m"),
        ("server.policy={kind: energy_floor, num_clients: 3}",
         "server.policy.kind: energy_floor has no effect without clients.battery"),
        ("server.policy={kind: tifl, num_clients: 3, chances: [1.0, 2.0]}",
         "server.policy.chances: must be 5 numbers, one a tier, got 2"),
        ("server.policy={kind: oort, num_clients: 3, explore_fraction: 0.2}",
         "server.policy.min_explore_fraction: must be <= explore_fraction = 0.2, got 0.3"),
        ("server.policy={kind: power_of_choice, num_clients: 4, num_candidates: 3}",
         "server.policy.num_candidates: must be >= num_clients = 4, got 3"),
        ("server.policy={kind: knapsack}",
         "server.policy.budget_j: give exactly one of budget_j and budget_s, got neither"),
        ("server.policy={kind: fedcs, round_s: 0}", "server.policy.round_s: must be > 0, got 0"),
        ("server.policy={kind: fedcs, round_s: 9, num_candidates: 999}",
         "server.policy.num_candidates: must be <= clients.num_clients = 12, got 999"),
        ("server.policy={kind: lyapunov, num_clients: 3}",
         "server.policy.budget_j: missing; it is required"),
        ("clients.battery={start_level: 1.5}",
         "clients.battery.start_level: must be <= 1, got 1.5"),
        ("clients.battery={charging_w: 5}",
         "clients.battery.charging_w: has no effect without charging, got 5"),
        ("faults={server_crashes: [{at_s: 5, down_s: 5}, {at_s: 9, down_s: 1}]}",
         "faults.server_crashes.1.at_s: must be > 10, when the server is back, got 9"),
        ("training.threads=257", ": training.threads: must be <= 256, got 257"),
        ("world.layout.isd_m=1e6", "isd_m: must be within 20 and 8660.25 in environment uma"),
        ("world.layout.isd_m=1", "isd_m: must be within 20 and"),
        ("world.layout={kind: single_cell, radius_m: 1}", "radius_m: must be within 20 and 5000"),
    ],
)  # fmt: skip
def test_a_value_beyond_its_bounds_is_one_line(override, words):
    (line,) = problems_of(override)
    assert words in line


@pytest.mark.parametrize(
    "override",
    [
        "radio.site_power_dbm=0",
        "radio.knowledge_delay_slots=1000",
        "radio.channel_tick_s=0.0005",
        "world.layout.isd_m=20",
        "training.threads=256",
        "world.layout.isd_m=8660",
        "world.layout={kind: single_cell, radius_m: 5e3}",
    ],
)
def test_a_value_at_its_bound_is_taken(override):
    load("quickstart", [override])


@pytest.mark.parametrize("num_places", [1, 11])
def test_static_clients_have_a_place_each(num_places):
    places = [[20.0 + k, 0.0] for k in range(num_places)]
    (line,) = problems_of(f"world.mobility={{kind: static, positions_m: {places}}}")
    assert "world.mobility.positions_m: must have a place for each" in line
    assert f"num_clients = 12, got {num_places}" in line


@pytest.mark.parametrize("num_places", [12, 13])
def test_as_many_places_as_clients_are_taken(num_places):
    places = [[20.0 + k, 0.0] for k in range(num_places)]
    load("quickstart", [f"world.mobility={{kind: static, positions_m: {places}}}"])


def test_what_needs_training_is_refused_without_it():
    """FedAMoLE deals experts by values, and the scenario has a target."""
    lines = problems_of("training.mode=none")
    assert len(lines) == 2
    assert ": server.targets: must be empty with training.mode none: nothing is measur" in lines[0]
    assert ": methods.3.kind: fedamole decides by values what is sent: there are none" in lines[1]


def test_a_scenario_without_values_is_taken():
    """One key, and what it leaves nothing to do, taken away."""
    kept = "methods=[{kind: fedit}]"
    assert (
        load("quickstart", ["training.mode=none", "server.targets={}", kept]).server.targets == {}
    )
