"""Tables are computed once a machine, and nothing else depends on the files that hold them."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import netsim
from netsim.channel.receive_antennas import maximum_ratio
from netsim.config.radio import RadioConfig, RayleighFading, TdlFading
from netsim.engines import air_setup
from netsim.phy_abstraction import table_cache
from netsim.phy_abstraction.table_cache import FOLDER_VARIABLE, KeptTables, cache_folder

VALUES = np.array([[0.1, 1 / 3], [np.pi, -0.0]])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "tables"))
    return tmp_path / "tables"


class Counted:
    """A table that counts how often it is computed."""

    def __init__(self, values=VALUES):
        self.values, self.count = values, 0

    def __call__(self):
        self.count += 1
        return self.values


def test_a_table_is_computed_once_and_read_to_the_last_bit(folder):
    compute = Counted()
    first = KeptTables((1.5, "a"))("some", compute)
    second = KeptTables((1.5, "a"))("some", compute)
    assert compute.count == 1
    assert first.tobytes() == second.tobytes() == VALUES.tobytes()
    assert len(list(folder.iterdir())) == 1


@pytest.mark.parametrize(
    ("name", "settings"), [("other", (1.5,)), ("some", (1.5 + 1e-15,)), ("some", (1.5, 2))]
)
def test_another_name_or_setting_is_another_table(folder, name, settings):
    KeptTables((1.5,))("some", Counted())
    compute = Counted(VALUES + 1)
    np.testing.assert_array_equal(KeptTables(settings)(name, compute), VALUES + 1)
    assert compute.count == 1


@pytest.mark.parametrize("damage", [b"", b"no table", None, "cut", "flipped"])
def test_a_damaged_file_is_replaced(folder, damage):
    kept = KeptTables((1,))
    kept("some", Counted())
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    if damage is None:
        np.savez(file, other=VALUES)
    elif damage == "cut":
        file.write_bytes(whole[:-30])
    elif damage == "flipped":
        at = whole.index(VALUES.tobytes()) + 3
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    else:
        file.write_bytes(damage)
    compute = Counted()
    np.testing.assert_array_equal(kept("some", compute), VALUES)
    np.testing.assert_array_equal(kept("some", compute), VALUES)
    assert compute.count == 1


def test_a_file_that_would_run_code_is_not_read(folder):
    kept = KeptTables((1,))
    kept("some", Counted())
    (file,) = folder.iterdir()
    np.savez(file, table=np.array([{}], dtype=object))
    np.testing.assert_array_equal(kept("some", Counted()), VALUES)


def test_where_nothing_can_be_written_tables_are_computed(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "file" / "tables"))
    compute = Counted()
    for _ in range(2):
        np.testing.assert_array_equal(KeptTables((1,))("some", compute), VALUES)
    assert compute.count == 2


def test_nothing_half_written_stays(folder, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError(28, "no space left")

    monkeypatch.setattr(table_cache.np, "savez", fail)
    np.testing.assert_array_equal(KeptTables((1,))("some", Counted()), VALUES)
    assert list(folder.iterdir()) == []


def test_the_tables_written_first_go_where_there_are_too_many(folder, monkeypatch):
    for number in range(3):
        KeptTables((number,))("some", Counted())
        for file in folder.iterdir():
            stat = file.stat()
            os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns - 10**9))
    (folder / "not ours").write_text("kept")
    sizes = [file.stat().st_size for file in folder.glob("*.npz")]
    monkeypatch.setattr(table_cache, "MOST_BYTES", 2 * sizes[0])
    KeptTables((3,))("some", Counted())
    compute = Counted()
    for number in (3, 2):
        KeptTables((number,))("some", compute)
    assert compute.count == 0
    assert len(list(folder.glob("*.npz"))) == 2
    assert (folder / "not ours").exists()


def test_the_folder_is_that_of_the_variable_or_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv(FOLDER_VARIABLE, "off")
    assert cache_folder() is None
    monkeypatch.setenv(FOLDER_VARIABLE, "~/mine")
    assert cache_folder() == Path.home() / "mine"
    monkeypatch.delenv(FOLDER_VARIABLE)
    monkeypatch.setenv("AIRTUNE_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path / "tables"
    monkeypatch.delenv("AIRTUNE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "airtune" / "tables"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "airtune" / "tables"


def test_off_keeps_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(FOLDER_VARIABLE, "off")
    compute = Counted()
    for _ in range(2):
        KeptTables((1,))("some", compute)
    assert compute.count == 2
    assert list(tmp_path.iterdir()) == []


def imported(module, package):
    """Files of the package that a module imports, directly or through others."""
    found, left = set(), [module]
    while left:
        file = left.pop()
        if file in found or not file.exists():
            continue
        found.add(file)
        for node in ast.walk(ast.parse(file.read_text())):
            names = []
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("netsim"):
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            for name in names:
                place = package.parent / name.replace(".", "/")
                left += [place.with_suffix(".py"), place / "__init__.py"]
    return found


def test_all_code_that_decides_a_table_is_part_of_its_name():
    """What the modules of tables import, and the tables of standards beside them."""
    package = Path(netsim.__file__).parent
    hashed = set()
    for source in table_cache.SOURCES:
        place = package / source
        hashed |= set(place.rglob("*") if place.is_dir() else package.glob(source))
    needed = imported(package / "engines" / "air_setup.py", package)
    assert package / "channel" / "fading.py" in needed
    # Where clients are does not enter a table; the module of settings imports it.
    missing = {file.relative_to(package).parts[0] for file in needed - hashed}
    assert missing <= {"world"}
    assert package / "channel" / "tdl.csv" in hashed


@pytest.mark.parametrize("fading", [RayleighFading(), TdlFading(), RayleighFading(mode="ergodic")])
def test_link_adaptation_is_the_same_with_and_without_files(folder, monkeypatch, fading):
    """Computed with no cache, computed and written, read: the same bytes."""
    settings = {
        "link_adaptation": RadioConfig(
            bandwidth_hz=20e6, subcarrier_spacing_hz=30e3
        ).link_adaptation,
        "combining": maximum_ratio(2, correlation=0.0),
        "mcs_table": 1,
        "delay_s": 0.002,
        "doppler_hz": 10.0,
        "offsets_hz": (-5e6, 5e6),
        "slot_s": 0.0005,
    }

    def never(*args, **kwargs):
        msg = "sampled once more"
        raise RuntimeError(msg)

    make = air_setup._make_adaptation.__wrapped__
    sinr, fade = np.geomspace(1e-2, 1e3, 200), np.geomspace(0.02, 6.0, 200)

    def outcome():
        adaptation = make(fading, **settings)
        return np.array(adaptation.outcome(sinr, fade)).tobytes()

    with monkeypatch.context() as without:
        without.setenv(FOLDER_VARIABLE, "off")
        expected = outcome()
    assert outcome() == expected
    files = {file: file.stat().st_mtime_ns for file in folder.iterdir()}
    assert len(files) >= 4
    with monkeypatch.context() as reading:
        for name in ("sample_gains", "sample_fading_traces"):
            reading.setattr(air_setup, name, never)
        assert outcome() == expected
    assert {file: file.stat().st_mtime_ns for file in folder.iterdir()} == files


def test_a_run_of_tests_leaves_the_users_folder_alone():
    """The folder of this process, which its children inherit, is not in the user's cache."""
    folder = cache_folder()
    assert folder is not None
    assert not folder.is_relative_to(Path.home() / ".cache")
    code = "from netsim.phy_abstraction.table_cache import cache_folder; print(cache_folder())"
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert seen.stdout.strip() == str(folder)
