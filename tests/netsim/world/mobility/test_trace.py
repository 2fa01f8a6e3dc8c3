import os
import time

import numpy as np
import pandas as pd
import pytest

from netsim.config.world import TraceMobility
from netsim.world.area import Disc
from netsim.world.mobility import make_trajectory
from netsim.world.mobility.trace import read_trace

HEADER = "client_id,at_s,x_m,y_m\n"
GOOD = HEADER + "0,10,0,0\n1,0,5,5\n0,20,30,40\n0,30,30,40\n"


def write(tmp_path, text, name="trace.csv"):
    path = tmp_path / name
    path.write_text(text)
    return str(path)


def path_of(file, client_id):
    return make_trajectory(
        TraceMobility(path=file),
        area=Disc(100.0),
        seed=1,
        client_id=client_id,
        start_m=np.zeros(2),
    )


def test_interpolates_and_rests_at_both_ends(tmp_path):
    path = path_of(write(tmp_path, GOOD), 0)
    for at_s, place_m, speed_mps in [
        (0.0, [0, 0], 0.0),
        (10.0, [0, 0], 5.0),
        (15.0, [15, 20], 5.0),
        (20.0, [30, 40], 0.0),
        (99.0, [30, 40], 0.0),
    ]:
        np.testing.assert_allclose(path.position_m(at_s), place_m)
        assert path.speed_mps(at_s) == pytest.approx(speed_mps)


def test_an_edited_file_is_read_again(tmp_path):
    file = write(tmp_path, GOOD)
    before = read_trace(file)
    assert read_trace(file) is before
    write(tmp_path, GOOD.replace("0,10,0,0", "0,10,7,7"))  # of the same size
    os.utime(file, ns=(0, 1))
    assert read_trace(file)[0][1][0] == 7.0
    write(tmp_path, GOOD + "0,40,1,1\n")
    os.utime(file, ns=(0, 1))
    assert len(read_trace(file)[0][0]) == 4


def test_parquet_is_read_like_csv(tmp_path):
    file = write(tmp_path, GOOD)
    other = str(tmp_path / "trace.parquet")
    pd.read_csv(file).to_parquet(other)
    for client_id, columns in read_trace(file).items():
        for one, same in zip(columns, read_trace(other)[client_id], strict=True):
            np.testing.assert_array_equal(one, same)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (HEADER + "0,5,0,0\n0,4,1,1\n", "time of client 0 must increase, got 4 s after 5 s"),
        (HEADER + "0,5,0,0\n0,5,1,1\n", "must increase, got 5 s after 5 s in data row 2"),
        (HEADER + "0,5,here,0\n", "finite number, got 'here' as x_m in data row 1"),
        (HEADER + "0,5,0,\n", "finite number, got 'nan' as y_m in data row 1"),
        (HEADER + "car7,5,0,0\n", "finite number, got 'car7' as client_id in data row 1"),
        (HEADER + "0,2024-01-01 12:00,0,0\n", "got '2024-01-01 12:00' as at_s in data row 1"),
        (HEADER, "at least one row"),
        (HEADER + "0,0,0,0\n0.5,0,1,1\n0.7,0,2,2\n", "whole number >= 0, got 0.5 in data row 2"),
        (HEADER + "-1,0,0,0\n", "client_id must be a whole number >= 0, got -1 in data row 1"),
        ("client_id,at_s,x_m\n0,1,2\n", "missing y_m"),
    ],
)
def test_faults_are_named(tmp_path, text, match):
    with pytest.raises(ValueError, match=match):
        read_trace(write(tmp_path, text))


def test_missing_and_foreign_files_are_named(tmp_path):
    with pytest.raises(ValueError, match="no such file"):
        read_trace(str(tmp_path / "none.csv"))
    with pytest.raises(ValueError, match=r"\.csv or \.parquet"):
        read_trace(write(tmp_path, GOOD, "trace.txt"))
    with pytest.raises(ValueError, match="cannot be read as parquet"):
        read_trace(write(tmp_path, GOOD, "broken.parquet"))


def test_a_client_without_rows_has_no_path(tmp_path):
    with pytest.raises(ValueError, match="no rows of client 3"):
        path_of(write(tmp_path, GOOD), 3)


def test_rows_of_clients_may_lie_mixed(tmp_path):
    rows = [(client, at_s, client + at_s, client) for at_s in range(40) for client in (7, 2, 11)]
    text = "".join(f"{client},{at_s},{x},{y}\n" for client, at_s, x, y in rows)
    points = read_trace(write(tmp_path, HEADER + text))
    assert list(points) == [2, 7, 11]
    for client, (at_s, x_m, y_m) in points.items():
        np.testing.assert_array_equal(at_s, np.arange(40))
        np.testing.assert_array_equal(x_m, client + np.arange(40))
        assert set(y_m) == {client}


def test_many_clients_are_read_in_one_pass(tmp_path):
    clients = 20_000
    table = pd.DataFrame({"client_id": np.arange(clients).repeat(5)})
    table["at_s"] = np.tile(np.arange(5.0), clients)
    table["x_m"] = table["y_m"] = 1.0
    table.to_parquet(tmp_path / "many.parquet")
    started_s = time.process_time()
    assert len(read_trace(str(tmp_path / "many.parquet"))) == clients
    assert time.process_time() - started_s < 3  # comparing every row with every client took 10 s
