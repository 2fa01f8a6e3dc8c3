"""Mobility that would hang or fail in the run is refused before anything runs."""

import pytest

from scenarios.cli import main
from scenarios.errors import ScenarioError
from scenarios.load import load


@pytest.mark.parametrize(
    ("mobility", "words"),
    [
        ("{kind: manhattan, block_m: 0.05}", "world.mobility.block_m: must be >= 10, got 0.05"),
        ("{kind: manhattan, block_m: 5000}", "block_m: must leave room for a street between two"),
        ("{kind: manhattan, speed_mps: 1e9}", "world.mobility.speed_mps: must be <= 150, got"),
        ("{kind: gauss_markov, step_s: 1e-8}", "world.mobility.step_s: must be >= 0.1, got 1e-08"),
        ("{kind: gauss_markov, mean_speed_mps: 1e9}", "mean_speed_mps: must be <= 150, got"),
        ("{kind: gauss_markov, speed_std_mps: 1e9}", "speed_std_mps: must be <= 150, got"),
        ("{kind: random_direction, speed_mps: 1e9}", "speed_mps: must be <= 150, got"),
        ("{kind: random_waypoint, max_speed_mps: 1e9}", "max_speed_mps: must be <= 150, got"),
        ("{kind: random_waypoint, min_speed_mps: 1e-9}", "min_speed_mps: must be >= max_speed_mps"),
    ],
)
def test_mobility_out_of_bounds_is_one_line(mobility, words):
    with pytest.raises(ScenarioError) as caught:
        load("quickstart", [f"world.mobility={mobility}"])
    (line,) = caught.value.problems
    assert words in line
    assert "\n" not in line


@pytest.mark.parametrize(
    "mobility",
    [
        "{kind: manhattan, block_m: 10, speed_mps: 150}",
        "{kind: gauss_markov, step_s: 0.1, mean_speed_mps: 150}",
        "{kind: random_waypoint, min_speed_mps: 0.00015}",
    ],
)
def test_mobility_at_its_bounds_is_taken(mobility):
    load("quickstart", [f"world.mobility={mobility}"])


def test_a_run_without_any_street_ends_as_bad_input(tmp_path, capsys):
    override = "world.mobility={kind: manhattan, block_m: 5000}"
    code = main(["run", "quickstart", "--set", override, "--out", str(tmp_path / "run")])
    assert code == 2
    assert "world.mobility.block_m" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_trace_with_leaps_is_bad_input(tmp_path, capsys):
    """Clients cross their cell in a millisecond: valid, once."""
    rows = [f"{i},{at_s},{x_m},0" for i in range(12) for at_s, x_m in ((0, -200), (0.001, 200))]
    trace = tmp_path / "teleport.csv"
    trace.write_text("\n".join(["client_id,at_s,x_m,y_m", *rows]) + "\n")
    override = f"world.mobility={{kind: trace, path: {trace}}}"
    assert main(["validate", "quickstart", "--set", override]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "client 0 covers 400 m in 0.001 s from 0 s on, 4e+05 m/s; nobody is faster" in line
