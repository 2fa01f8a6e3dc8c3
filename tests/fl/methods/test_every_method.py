"""What holds for every method in the table."""

import importlib
from functools import cache
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fl.methods import METHODS, install_method
from fl.payload import decode
from fl.server.evaluation import Evaluator
from fl.server.modes import sync
from fl.training.config import TrainingConfig
from fl.training.exchange import Exchanging
from tests.fl.fakes import NUM_CLASSES, SMALLEST, examples, federation, install, module_for
from tests.fl.methods.recorded import crossing, of_models, recorded
from tests.fl.methods.shapes import Shape

KINDS = sorted(METHODS)
SENDING = sorted(kind for kind in METHODS if SMALLEST[kind].sends)
NOT_NEUTRAL = {"fedtt", "fedtt_plus", "prefix_tuning", "prompt_tuning"}
"""Methods whose card says that what they put in changes the model from the start."""

run_once = cache(recorded)


def logits(worker, tensors):
    worker.load(tensors)
    batch = examples(12).batch(range(12))
    with torch.inference_mode():
        return worker.module(batch.input_ids, batch.attention_mask)


def numel(payload):
    return 0 if payload is None else sum(value.numel() for value in payload.tensors.values())


def test_table_and_folders_agree():
    assert len(KINDS) >= 3
    assert SENDING
    root = Path(install_method.__code__.co_filename).parent
    folders = {path.parent.name for path in root.glob("*/method.py")}
    assert folders == set(METHODS)
    for kind in METHODS:
        assert SMALLEST[kind].kind == kind
        assert (root / kind / "README.md").is_file()
        assert (Path(__file__).parent / f"test_{kind}.py").is_file()


@pytest.mark.parametrize("kind", KINDS)
def test_the_table_says_in_a_line_what_is_sent_what_stays_and_whence(kind):
    entry = METHODS[kind]
    assert all((entry.sends, entry.keeps, entry.source))
    assert "\n" not in entry.summary
    assert len(entry.summary) <= 160
    assert (entry.sends == "nothing") == (not SMALLEST[kind].sends)


@pytest.mark.parametrize("kind", KINDS)
def test_every_setting_is_told(kind):
    card = (Path(install_method.__code__.co_filename).parent / kind / "README.md").read_text()
    for heading in ("**Implemented", "**Cost"):
        assert heading in card, f"the card of {kind} has no paragraph {heading}"


@pytest.mark.parametrize("kind", KINDS)
def test_installing_freezes_and_keeps_the_backbone(kind):
    module = module_for(kind)
    before = {id(parameter): parameter.detach().clone() for parameter in module.parameters()}
    method, _ = install(kind, module)
    parameters = dict(module.named_parameters())
    kept = {
        id(parameter): parameter for parameter in parameters.values() if id(parameter) in before
    }
    assert kept.keys() == before.keys(), "backbone weights must stay the same objects"
    assert all(torch.equal(kept[key], before[key]) for key in before)
    backbone = parameters.keys() - method.initial.keys()
    assert backbone or kind in ("full", "fedkseed")
    assert not any(parameters[name].requires_grad for name in backbone)


@pytest.mark.parametrize("kind", KINDS)
def test_installing_leaves_the_global_generator_alone(kind):
    before = torch.random.get_rng_state()
    install(kind)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("kind", KINDS)
def test_settings_say_what_the_method_is(kind):
    method, _ = install(kind)
    config, state = SMALLEST[kind], method.initial_state()
    model = method.global_model(state)
    assert (model is not None) == config.has_global_model
    assert model is None or model.keys() == method.initial.keys()
    assert method.same_download == config.same_download
    assert (method.download(state, client_id=0) is not None) == config.sends


@pytest.mark.parametrize("kind", KINDS)
def test_models_have_a_value_for_every_installed_tensor(kind):
    played, _ = run_once(kind)
    method, names = played.method.method, played.method.initial.keys()
    for client_id in played.client_ids:
        for state in (method.initial_state(), played.state):
            model = method.personal_model(state, played.personal.of(client_id))
            assert model.keys() == names
            assert all(torch.isfinite(value).all() for value in model.values())


@pytest.mark.parametrize("kind", KINDS)
def test_start_is_the_pretrained_model_where_the_card_says_so(kind):
    played = federation(SMALLEST[kind])
    method, state = played.method, played.state
    bare = module_for(kind)
    batch = examples(12).batch(range(12))
    with torch.inference_mode():
        expected = bare(batch.input_ids, batch.attention_mask)
    download = method.download(state, client_id=0)
    start = method.start(download, method.initial_personal(0), version=0)
    assert start.tensors.keys() == method.initial.keys()
    assert start.trainable
    assert set(start.trainable) <= set(start.tensors)
    found = logits(played.worker, start.tensors)
    assert torch.allclose(found, expected, atol=1e-6) == (kind not in NOT_NEUTRAL)


@pytest.mark.parametrize("kind", KINDS)
def test_without_learning_nothing_moves(kind):
    still = TrainingConfig(local_steps=2, batch_size=8, learning_rate=0.0)
    played, method = recorded(kind, training=still, num_rounds=2)
    first = method.initial_state()
    for client_id in played.client_ids:
        before = method.personal_model(first, method.initial_personal(client_id))
        after = method.personal_model(played.state, played.personal.of(client_id))
        torch.testing.assert_close(
            logits(played.worker, after), logits(played.worker, before), rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("kind", KINDS)
def test_learning_moves_the_models(kind):
    played, method = run_once(kind)
    before = method.personal_model(method.initial_state(), method.initial_personal(0))
    after = method.personal_model(played.state, played.personal.of(0))
    assert not torch.allclose(logits(played.worker, after), logits(played.worker, before))


@pytest.mark.parametrize("kind", KINDS)
def test_what_crosses_the_link_is_what_the_card_says(kind):
    """Every round, both directions, every client: numbers by the formula, bytes by the encoding."""
    module = importlib.import_module(f"tests.fl.methods.test_{kind}")
    played, method = run_once(kind)
    num_clients = len(played.client_ids)
    transfers = of_models(played.network.transfers)
    is_exchanging = isinstance(played.procedure, Exchanging)
    assert (len(transfers) < len(played.network.transfers)) == is_exchanging
    sent = {(t.client_id, t.direction, t.requested_at_s): t for t in transfers}
    assert len(sent) == (2 * num_clients * 3 if SMALLEST[kind].sends else 0)
    for round_id in (1, 2, 3):
        row = played.recorder.rounds[round_id - 1]
        of_round = [
            t for t in transfers if row.started_at_s <= t.requested_at_s < row.finished_at_s
        ]
        uploads = method.contributions[round_id - 1] if method.contributions else []
        by_client = {item.client_id: crossing(method.method, item.payload) for item in uploads}
        dealt = method.states[round_id - 1].memory.get("assignment") if method.states else None
        for client_id in played.client_ids:
            shape = Shape(
                layers=2,
                hidden=32,
                feed_forward=64,
                num_classes=NUM_CLASSES,
                client_id=client_id,
                num_clients=num_clients,
                held=() if dealt is None else tuple(dealt[:, :, client_id].sum(dim=1).tolist()),
            )
            up, down = module.payload_numbers(shape, round_id - 1)
            payloads = {
                "uplink": by_client.get(client_id),
                "downlink": method.downloads[round_id - 1].get(client_id),
            }
            assert {"uplink": up, "downlink": down} == {
                direction: numel(payload) for direction, payload in payloads.items()
            }
            for direction, payload in payloads.items():
                sizes = [
                    t.size_bytes
                    for t in of_round
                    if (t.client_id, t.direction) == (client_id, direction)
                ]
                assert sizes == ([] if payload is None else [len(payload.encode())])


@pytest.mark.parametrize("kind", SENDING)
def test_private_tensors_never_travel(kind):
    """What a client trains or works out and does not send is in no download, to it or to others."""
    played, method = run_once(kind)
    names_up = {name for items in method.contributions for name in items[0].payload.tensors}
    names_down = {
        name
        for by_client in method.downloads.values()
        for payload in by_client.values()
        if payload is not None
        for name in payload.tensors
    }
    own = set()
    for version, by_client in method.downloads.items():
        personal = method.initial_personal(0)
        start = method.start(by_client[0], personal, version=version)
        own |= {*start.trainable, *start.client_outputs} - names_up
    assert not own & names_down
    assert not own & set(played.state.tensors)
    assert not own & set(played.state.memory)


@pytest.mark.parametrize("kind", SENDING)
@settings(deadline=None, max_examples=5)
@given(order=st.permutations(range(4)))
def test_order_of_arrival_does_not_change_a_bit(kind, order):
    _, method = run_once(kind)
    state, made = method.states[-1], method.contributions[-1]
    first = method.method.aggregate(state, made)
    second = method.method.aggregate(state, [made[index] for index in order])
    for one, other in ((first.tensors, second.tensors), (first.memory, second.memory)):
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("kind", SENDING)
def test_payloads_come_out_of_their_bytes_as_they_went_in(kind):
    _, method = run_once(kind)
    payloads = [item.payload for items in method.contributions for item in items]
    payloads += [each for of_round in method.downloads.values() for each in of_round.values()]
    for payload in filter(None, payloads):
        back = decode(payload.encode())
        assert back.tensors.keys() == payload.tensors.keys()
        assert all(torch.equal(back.tensors[name], payload.tensors[name]) for name in back.tensors)


@pytest.mark.parametrize("kind", KINDS)
def test_a_federation_goes_on_from_saved_tensors_as_if_never_stopped(kind, tmp_path):
    def through_a_file(tensors, name):
        file = tmp_path / name
        safetensors.torch.save_file({k: v.contiguous() for k, v in tensors.items()}, file)
        return safetensors.torch.load_file(file)

    def rows_of(*, is_saved):
        played = federation(SMALLEST[kind], num_clients=4, cohort=2)
        played.env.run(until=played.env.process(sync.run_round(played, 1)))
        if is_saved:
            played.state = type(played.state)(
                version=played.state.version,
                tensors=through_a_file(played.state.tensors, "server"),
                memory=through_a_file(played.state.memory, "memory"),
                changed_at=dict(played.state.changed_at),
                held=dict(played.state.held),
            )
            for client_id in played.client_ids:
                if client_id in played.personal:
                    held = played.personal.of(client_id)
                    played.personal.keep(client_id, through_a_file(held, f"client{client_id}"))
        played.env.run(until=played.env.process(sync.run_round(played, 2)))
        return played.recorder.clients, Evaluator(played).evaluate(2)

    assert rows_of(is_saved=True) == rows_of(is_saved=False)
