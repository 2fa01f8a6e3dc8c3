"""The table of server modes."""

from typing import get_args

from fl.methods.local.config import LocalConfig
from fl.server.config import ServerConfig
from fl.server.modes import MODES, run_server
from fl.server.modes.sync import run_rounds
from tests.fl.fakes import federation


def test_every_class_of_settings_has_an_entry_under_its_own_name():
    assert {entry.config for entry in MODES.values()} == set(get_args(ServerConfig))
    assert all(entry.config.mode == name for name, entry in MODES.items())
    assert all(entry.summary and entry.source for entry in MODES.values())


def test_the_table_runs_the_same_rows_as_the_mode_itself():
    by_table, by_hand = federation(LocalConfig()), federation(LocalConfig())
    by_table.env.run(until=by_table.env.process(run_server(by_table)))
    by_hand.env.run(until=by_hand.env.process(run_rounds(by_hand)))
    assert len(by_table.recorder.rounds) == 3
    assert by_table.recorder == by_hand.recorder
