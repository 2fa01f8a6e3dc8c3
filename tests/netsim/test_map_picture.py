"""The map shows the world of the run: its numbers are checked, its looks were looked at."""

import numpy as np
import pytest
import simpy
from matplotlib.image import imread

from netsim.config import RadioConfig, WorldConfig
from netsim.config.world import (
    HexagonalLayout,
    IndoorOfficeLayout,
    ManhattanMobility,
    RandomWaypointMobility,
    SingleCellLayout,
)
from netsim.map_picture import draw_map, ground_sinr_db
from netsim.network import CellularNetwork
from netsim.world.layout import build_layout
from netsim.world.placement import Placement
from netsim.world.population import MIN_SITE_DISTANCE_M

RADIO = RadioConfig(bandwidth_hz=20e6, subcarrier_spacing_hz=30e3)
WORLDS = {
    "hexagonal": WorldConfig(
        environment="uma",
        layout=HexagonalLayout(num_sites=1),
        carrier_hz=3.5e9,
        mobility=RandomWaypointMobility(),
    ),
    "single_cell": WorldConfig(
        environment="umi",
        layout=SingleCellLayout(radius_m=150.0),
        carrier_hz=3.5e9,
        mobility=ManhattanMobility(block_m=50.0),
    ),
    "indoor_office": WorldConfig(environment="inh", layout=IndoorOfficeLayout(), carrier_hz=3.5e9),
}


@pytest.fixture(autouse=True)
def few_pixels(monkeypatch):
    monkeypatch.setattr("netsim.map_picture.MAX_LINKS", 2000)


@pytest.mark.parametrize("name", WORLDS)
def test_a_picture_of_every_layout(name, tmp_path):
    path = tmp_path / "map.png"
    summary = draw_map(WORLDS[name], RADIO, num_clients=5, seed=1, path=path)
    assert summary.num_cells == len(build_layout(WORLDS[name].layout).cells)
    assert summary.num_clients_drawn == 5
    assert summary.sinr_p5_db < summary.sinr_p50_db < summary.sinr_p95_db
    pixels = imread(path)
    assert pixels.shape[0] > 400
    assert len(np.unique(pixels.reshape(-1, pixels.shape[2])[::97], axis=0)) > 100


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_equal_maps_are_equal_bytes(tmp_path, suffix):
    paths = [tmp_path / f"{k}.{suffix}" for k in range(2)]
    for path in paths:
        draw_map(WORLDS["hexagonal"], RADIO, num_clients=3, seed=1, path=path, track_s=60.0)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_the_ground_is_that_of_the_network():
    """A client's mean SNR in the network is the map's value where it stands."""
    world = WorldConfig(environment="uma", layout=HexagonalLayout(), carrier_hz=3.5e9)
    radio = RadioConfig(bandwidth_hz=20e6, subcarrier_spacing_hz=30e3, interference=False)
    num, seed = 12, 3
    network = CellularNetwork(simpy.Environment(), world, radio, num_clients=num, seed=seed)
    links = network.link_table(range(num))
    layout = build_layout(world.layout)
    places = Placement(layout, seed=seed, min_distance_m=MIN_SITE_DISTANCE_M["uma"])
    sinr_db = ground_sinr_db(
        world, radio, layout, places.positions_m(np.arange(num)), seed=seed, first_probe_id=0
    )
    is_covered = links.cell_id >= 0
    assert is_covered.any()
    assert links.mean_snr_db[is_covered] == pytest.approx(sinr_db[is_covered], abs=1e-9)


def test_nothing_to_draw_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="must be > 0"):
        draw_map(WORLDS["hexagonal"], RADIO, num_clients=0, seed=1, path=tmp_path / "map.png")
