"""Clients' tensors in memory and in files: what comes back is what was put there."""

from dataclasses import replace

import pytest
import torch

from fl.server.evaluation import Evaluator
from fl.server.modes.sync import run_rounds
from fl.server.state_place import OBJECT_BYTES, StateFileError, StatePlace
from tests.fl.fakes import SMALLEST, federation


def state(client_id):
    generator = torch.Generator().manual_seed(client_id)
    return {
        "b": torch.randn(4, 3, generator=generator),
        "a": torch.tensor(client_id),
        "half": torch.randn(5, generator=generator).to(torch.bfloat16),
    }


def same(first, second):
    return list(first) == list(second) and all(
        torch.equal(first[name], second[name]) and first[name].dtype == second[name].dtype
        for name in first
    )


def bytes_of(tensors):
    return sum(OBJECT_BYTES + each.nbytes for each in tensors.values())


def test_only_what_was_used_last_is_in_memory_and_the_rest_comes_back_to_the_bit(tmp_path):
    place = StatePlace(tmp_path / "states", budget_bytes=3 * bytes_of(state(0)))
    for client_id in range(10):
        place.put(client_id, state(client_id))
        assert place.held_bytes <= 3 * bytes_of(state(0))
    files = list((tmp_path / "states").rglob("*.safetensors"))
    assert len(files) == 7
    for client_id in (3, 9, 0, 3, 5):
        assert same(place.get(client_id), state(client_id))
    assert sorted(place) == list(range(10))
    place.put(3, state(33))  # its file is of before
    for client_id in (0, 1, 2, 4):
        place.get(client_id)
    assert same(place.get(3), state(33))
    assert place.get(10) is None
    assert 10 not in place
    place.close()
    assert not (tmp_path / "states").exists()


def test_without_a_folder_all_stay_in_memory_and_are_the_same_objects():
    place, given = StatePlace(budget_bytes=1), [state(client_id) for client_id in range(5)]
    for client_id, tensors in enumerate(given):
        place.put(client_id, tensors)
    assert all(place.get(client_id) is tensors for client_id, tensors in enumerate(given))


def test_what_has_no_encoding_stays_in_memory(tmp_path):
    place = StatePlace(tmp_path / "states", budget_bytes=1)
    odd = {"odd": torch.zeros(3, dtype=torch.complex128)}
    place.put(0, odd)
    for client_id in (1, 2):
        place.put(client_id, state(client_id))
    assert place.get(0) is odd


def test_what_comes_back_stands_for_the_objects_that_were_written(tmp_path):
    place = StatePlace(tmp_path / "states", budget_bytes=1)
    first = state(0)
    place.put(0, first)
    key = place.tokens.key(first)
    place.put(1, state(1))
    del first
    assert place.tokens.key(place.get(0)) == key
    assert place.tokens.key(place.get(1)) != key


def test_a_full_disk_and_a_damaged_file_are_one_line(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    place = StatePlace(blocked / "states", budget_bytes=1)
    place.put(0, state(0))
    with pytest.raises(StateFileError, match="state of client 0 cannot be kept: Not a directory"):
        place.put(1, state(1))
    place = StatePlace(tmp_path / "states", budget_bytes=1)
    for client_id in (0, 1):
        place.put(client_id, state(client_id))
    [path] = (tmp_path / "states").rglob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StateFileError, match="state of client 0 cannot be read back"):
        place.get(0)


@pytest.mark.parametrize("kind", sorted(SMALLEST))
def test_a_run_with_states_on_disk_gives_the_same_rows(kind, tmp_path):
    """Of what clients hold one state alone is in memory; an upload is lost in the first round."""

    def play(place):
        played = federation(
            SMALLEST[kind], num_clients=5, cohort=3, num_rounds=3, failing={(2, "uplink"): "outage"}
        )
        if place is not None:
            played.personal.place = place
        played.env.run(until=played.env.process(run_rounds(played)))
        return played

    place = StatePlace(tmp_path / "states", budget_bytes=1)
    plain, on_disk = play(None), play(place)
    for name in ("rounds", "clients", "evaluations", "of_rewards", "of_answers"):
        assert getattr(on_disk.recorder, name) == getattr(plain.recorder, name)
    for client_id in plain.client_ids:
        assert same(on_disk.personal.of(client_id), plain.personal.of(client_id))
    assert on_disk.executor.num_computed == plain.executor.num_computed
    has_files = any((tmp_path / "states").rglob("*.safetensors"))
    assert has_files == any(map(len, map(plain.personal.held, plain.client_ids)))


def test_an_evaluation_reads_no_state_of_a_client_that_did_not_change(tmp_path, monkeypatch):
    played = federation(SMALLEST["local"], num_clients=4)
    place = played.personal.place = StatePlace(tmp_path / "states", budget_bytes=1)
    for client_id in played.client_ids:
        first = played.personal.of(client_id)
        own = {name: value + client_id for name, value in first.items()}
        played.personal.keep(client_id, own)
    evaluator = Evaluator(played)
    first = evaluator.evaluate(1)
    asked, get = [], place.get
    monkeypatch.setattr(place, "get", lambda client_id: asked.append(client_id) or get(client_id))
    assert evaluator.evaluate(2) == [replace(row, round=2) for row in first]
    assert asked == []
    played.personal.keep(2, state_like(played, 2))
    evaluator.evaluate(3)
    assert set(asked) == {2}


def state_like(played, client_id):
    first = played.method.initial_personal(client_id)
    return {name: value + 7.0 for name, value in first.items()}
