"""Ladder steps 1 and 2: path loss against independent vectors, branches and breakpoints."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.channel.pathloss import breakpoint_distance_m, path_loss_db, uma_environment_height_m
from netsim.config.environment import ENVIRONMENTS, MODEL_RANGES, find_problems

BS_HEIGHT_M = {"uma": 25.0, "umi": 10.0, "rma": 35.0, "inh": 3.0}

# Vectors of ns-3's test suite at 5 GHz, UE at 1.5 m: (environment, LOS, distances, losses).
NS3_VECTORS = [
    ("rma", True, [10, 100, 1000, 10000], [77.3784, 87.2965, 108.5577, 140.3896]),
    ("rma", False, [10, 100, 1000, 5000], [77.3784, 95.7718, 133.5223, 160.5169]),
    ("uma", True, [10, 100, 1000, 5000], [72.9380, 86.2362, 109.7252, 137.6794]),
    ("uma", False, [10, 100, 1000, 5000], [82.5131, 106.1356, 144.7641, 172.0753]),
    ("umi", True, [10, 100, 1000, 5000], [69.8591, 88.4122, 119.3114, 147.2696]),
    ("umi", False, [10, 100, 1000, 5000], [76.7563, 107.9432, 143.1886, 167.8617]),
    ("inh", True, [1, 10, 50, 100], [50.8072, 63.7630, 75.7750, 80.9802]),
    ("inh", False, [1, 10, 50, 100], [50.8072, 73.1894, 99.7824, 111.3062]),
]

DISTANCES_3500_M = [10, 35, 50, 100, 200, 500, 1000, 2000]
TABLE_3500_DB = {
    ("uma", True): [69.840, 74.629, 77.212, 83.138, 89.570, 98.269, 109.412, 121.449],
    ("uma", False): [79.415, 87.921, 92.511, 103.038, 114.462, 129.916, 141.666, 153.427],
    ("umi", True): [66.761, 75.968, 79.090, 85.314, 91.611, 107.114, 119.153, 131.194],
    ("umi", False): [73.457, 88.934, 94.181, 104.644, 115.229, 129.265, 139.889, 150.515],
    ("rma", True): [74.280, 77.201, 79.147, 84.198, 90.149, 98.612, 105.460, 113.018],
    ("rma", False): [74.280, 79.623, 83.262, 92.674, 103.643, 118.823, 130.424, 142.047],
}

# (environment, LOS, carrier GHz, distance, loss) at other carriers.
SPOT_VECTORS = [
    ("uma", True, 0.7, 100, 69.159),
    ("uma", True, 0.7, 500, 95.826),
    ("uma", True, 0.7, 1000, 107.852),
    ("uma", False, 0.7, 100, 89.058),
    ("uma", False, 0.7, 500, 115.936),
    ("rma", True, 0.7, 1000, 93.382),
    ("rma", True, 0.7, 2000, 105.416),
    ("rma", False, 0.7, 1000, 116.445),
    ("uma", True, 2.0, 100, 78.277),
    ("uma", True, 2.0, 500, 96.885),
    ("uma", True, 2.0, 1000, 108.912),
    ("uma", False, 2.0, 100, 98.177),
    ("uma", False, 2.0, 500, 125.055),
    ("umi", False, 2.0, 100, 99.467),
    ("umi", False, 2.0, 500, 124.088),
    ("uma", True, 28, 100, 101.200),
    ("uma", True, 28, 500, 116.331),
    ("umi", True, 28, 100, 103.376),
    ("umi", True, 28, 200, 109.673),
    ("umi", False, 28, 100, 123.880),
    ("umi", False, 28, 200, 134.465),
]


def loss_db(environment, distance_m, *, is_los, carrier_hz=3.5e9, ue_height_m=1.5):
    return path_loss_db(
        environment,
        np.asarray(distance_m, dtype=float),
        is_los=is_los,
        carrier_hz=carrier_hz,
        bs_height_m=BS_HEIGHT_M[environment],
        ue_height_m=ue_height_m,
    )


@pytest.mark.parametrize(("environment", "is_los", "distance_m", "expected_db"), NS3_VECTORS)
def test_reproduces_ns3_vectors(ladder, environment, is_los, distance_m, expected_db):
    ladder.near(
        1,
        "path loss, 5 GHz, four environments",
        source="test vectors of ns-3",
        measured=loss_db(environment, distance_m, is_los=is_los, carrier_hz=5e9),
        expected=expected_db,
        tolerance=1e-3,
        unit="dB",
    )


@pytest.mark.parametrize(("environment", "is_los"), TABLE_3500_DB)
def test_reproduces_table_at_3500_mhz(ladder, environment, is_los):
    ladder.near(
        1,
        "path loss, 0.7 to 28 GHz",
        source="TR 38.901 clause 7.4.1, independent script",
        measured=loss_db(environment, DISTANCES_3500_M, is_los=is_los),
        expected=TABLE_3500_DB[environment, is_los],
        tolerance=1e-3,
        unit="dB",
    )


def test_reproduces_indoor_table_at_3500_mhz():
    los_db = loss_db("inh", [1, 5, 10, 50, 100], is_los=True)
    nlos_db = loss_db("inh", [1, 5, 10, 50, 100], is_los=False)
    np.testing.assert_allclose(los_db, [47.709, 55.697, 60.665, 72.677, 77.882], atol=1e-3, rtol=0)
    np.testing.assert_allclose(
        nlos_db, [47.709, 58.335, 69.332, 95.925, 107.449], atol=1e-3, rtol=0
    )


@pytest.mark.parametrize(
    ("environment", "is_los", "carrier_ghz", "distance_m", "expected_db"), SPOT_VECTORS
)
def test_reproduces_spot_vectors(ladder, environment, is_los, carrier_ghz, distance_m, expected_db):  # noqa: PLR0917
    ladder.near(
        1,
        "path loss, 0.7 to 28 GHz",
        source="TR 38.901 clause 7.4.1, independent script",
        measured=loss_db(environment, distance_m, is_los=is_los, carrier_hz=carrier_ghz * 1e9),
        expected=expected_db,
        tolerance=1e-3,
        unit="dB",
    )


@pytest.mark.parametrize(
    ("environment", "carrier_ghz", "expected_m"),
    [
        ("uma", 0.7, 112),
        ("uma", 2.0, 320),
        ("uma", 3.5, 560),
        ("uma", 28, 4480),
        ("umi", 0.7, 42),
        ("umi", 2.0, 120),
        ("umi", 3.5, 210),
        ("umi", 28, 1680),
        ("rma", 0.7, 769.69),
        ("rma", 2.0, 2199.11),
        ("rma", 3.5, 3848.45),
    ],
)
def test_breakpoint_distances(ladder, environment, carrier_ghz, expected_m):
    found_m = breakpoint_distance_m(
        environment,
        carrier_hz=carrier_ghz * 1e9,
        bs_height_m=BS_HEIGHT_M[environment],
        ue_height_m=1.5,
    )
    ladder.near(
        2,
        "breakpoints of UMa, UMi and RMa",
        source="TR 38.901 Table 7.4.1-1 notes 1, 5",
        measured=found_m,
        expected=expected_m,
        tolerance=0.005,
        unit="m",
    )


@pytest.mark.parametrize(
    ("environment", "largest_step_db"), [("uma", 1e-6), ("umi", 1e-6), ("rma", 0.008)]
)
def test_loss_is_continuous_at_the_breakpoint_except_for_the_rma_step(
    ladder, environment, largest_step_db
):
    at_m = breakpoint_distance_m(
        environment, carrier_hz=0.7e9, bs_height_m=BS_HEIGHT_M[environment], ue_height_m=1.5
    )
    near_db, far_db = loss_db(
        environment, [at_m - 1e-9, at_m + 1e-9], is_los=True, carrier_hz=0.7e9
    )
    ladder.below(
        2,
        f"step at the breakpoint of {environment}",
        source="the same; the standard's RMa has 0.007 dB",
        measured=abs(far_db - near_db),
        limit=largest_step_db,
        expected="0.007 dB" if environment == "rma" else "none",
        unit="dB",
    )
    if environment == "rma":  # the standard's own step must not be smoothed away
        assert abs(far_db - near_db) > 0.005


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_nlos_is_never_below_los_on_a_grid(ladder, environment):
    distance_m = np.geomspace(1, 5000, 2000)
    los_db, nlos_db = (loss_db(environment, distance_m, is_los=state) for state in (True, False))
    ladder.near(
        2,
        "LOS loss above NLOS loss, 1 m to 5 km",
        source="max(PL_LOS, PL') of the same table",
        measured=max(0.0, float(np.max(los_db - nlos_db))),
        expected=0.0,
        tolerance=0,
        unit="dB",
    )


@given(
    environment=st.sampled_from(ENVIRONMENTS),
    distance_m=st.floats(0.0, 5000.0),
    carrier_ghz=st.floats(0.5, 7.0),
)
def test_nlos_is_never_below_los(environment, distance_m, carrier_ghz):
    los_db, nlos_db = loss_db(
        environment, distance_m, is_los=[True, False], carrier_hz=carrier_ghz * 1e9
    )
    assert nlos_db >= los_db


@given(
    environment=st.sampled_from(ENVIRONMENTS),
    is_los=st.booleans(),
    near_m=st.floats(0.0, 5000.0),
    further_m=st.floats(0.0, 1000.0),
)
def test_loss_grows_with_distance(environment, is_los, near_m, further_m):
    near_db, far_db = loss_db(environment, [near_m, near_m + further_m], is_los=is_los)
    # The RMa step at its breakpoint goes down by less than 0.01 dB.
    assert far_db >= near_db - (0.01 if environment == "rma" else 1e-9)


@pytest.mark.parametrize("environment", ["uma", "umi", "rma"])
def test_state_selects_the_branch_link_by_link(environment):
    distance_m = np.full(4, 400.0)
    mixed_db = loss_db(environment, distance_m, is_los=[True, False, False, True])
    all_los_db = loss_db(environment, distance_m, is_los=True)
    all_nlos_db = loss_db(environment, distance_m, is_los=False)
    assert np.all(all_nlos_db - all_los_db > 5)
    np.testing.assert_array_equal(mixed_db, np.where([1, 0, 0, 1], all_los_db, all_nlos_db))


def test_height_of_urban_surroundings_has_the_standards_distribution():
    uniform = (np.arange(100_000) + 0.5) / 100_000
    height_m = uma_environment_height_m(200.0, ue_height_m=22.5, uniform=uniform)
    excess = 0.95**1.5 * 1.25 * 2**3 * np.exp(-200 / 150)
    assert np.mean(height_m == 1.0) == pytest.approx(1 / (1 + excess), abs=2e-5)
    levels, counts = np.unique(height_m[height_m > 1], return_counts=True)
    assert levels.tolist() == [12.0, 15.0, 18.0, 21.0]
    np.testing.assert_allclose(counts, counts.mean(), atol=1)


def test_low_ue_always_has_one_metre_surroundings():
    uniform = np.linspace(0, 0.999, 50)
    assert np.all(uma_environment_height_m(300.0, ue_height_m=12.9, uniform=uniform) == 1.0)


def test_near_distances_are_evaluated_at_the_models_nearest():
    assert loss_db("uma", 0.0, is_los=True) == loss_db("uma", 10.0, is_los=True)
    assert loss_db("inh", 0.5, is_los=True) == loss_db("inh", 1.0, is_los=True)


@pytest.mark.parametrize(
    ("environment", "carrier_hz", "message"),
    [
        ("rma", 28e9, r"carrier_hz: must be within 5e\+08 and 7e\+09 in environment rma"),
        ("uma", 1e6, "carrier_hz: must be within"),
    ],
)
def test_carrier_beyond_the_model_is_refused(environment, carrier_hz, message):
    with pytest.raises(ValueError, match=message):
        loss_db(environment, 100.0, is_los=True, carrier_hz=carrier_hz)


@pytest.mark.parametrize("distance_m", [-1.0, np.nan, np.inf])
def test_impossible_distance_is_refused(distance_m):
    with pytest.raises(ValueError, match="distance_2d_m: must be finite and >= 0"):
        loss_db("uma", distance_m, is_los=True)


def test_ue_below_the_surroundings_is_refused():
    with pytest.raises(ValueError, match="ue_height_m: must be above the effective"):
        loss_db("umi", 100.0, is_los=True, ue_height_m=0.9)


def test_every_value_out_of_range_is_reported_with_its_place():
    problems = find_problems(
        "rma", carrier_hz=28e9, bs_height_m=3.0, ue_height_m=1.5, path=("world",)
    )
    assert [problem.path for problem in problems] == [
        ("world", "carrier_hz"),
        ("world", "bs_height_m"),
    ]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_default_heights_are_within_their_own_ranges(environment):
    limits = MODEL_RANGES[environment]
    assert not find_problems(
        environment,
        carrier_hz=3.5e9,
        bs_height_m=limits.default_bs_height_m,
        ue_height_m=limits.default_ue_height_m,
    )
