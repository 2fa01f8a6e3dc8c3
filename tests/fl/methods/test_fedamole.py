"""FedAMoLE: who holds what, what is averaged, what is worked out, and what it reduces to."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from fl.execution.run_job import run_job
from fl.methods import install_method
from fl.methods.fedamole.config import FedamoleConfig
from fl.methods.fedamole.rsea import assign, preferences
from fl.methods.fedit.config import FeditConfig
from fl.models.language import LanguageModel
from fl.peft.lora_experts import balance_loss, route
from fl.server.federation import Federation
from fl.training.config import TrainingConfig
from fl.training.cost import CostModel
from fl.training.job import JobSettings, TrainJob
from fl.training.worker import Worker
from tests.fl.fakes import classifier, examples, federation
from tests.fl.methods.recorded import recorded
from tests.fl.training.closed_form import lora_step_flop

RANK, LAYERS = 8, 4  # query and value of two blocks
FEW = {"num_clients": 6, "cohort": 6, "num_texts": 240}


def payload_numbers(shape, version):
    d, classes, rank = shape.hidden, shape.num_classes, 8
    assert len(shape.held) == 2 * shape.layers
    assert all(2 <= held <= 8 for held in shape.held)
    down = sum((held + 1) * rank * 2 * d + rank * d + held for held in shape.held)
    up = down + sum((held + 1) * rank for held in shape.held)
    head = d * classes + classes
    return up + head, down + head


def installed(config, *, num_clients=10, module=None, seed=3):
    return install_method(
        config,
        classifier() if module is None else module,
        generator=torch.Generator().manual_seed(seed),
        num_clients=num_clients,
    )


def held(state):
    return state.memory["assignment"].numpy()


def start_of(method, state, client_id):
    download = method.download(state, client_id=client_id)
    return method.start(download, method.initial_personal(client_id), version=0)


@pytest.mark.parametrize("assignment", ["embeddings", "random", "static", "homogeneous"])
def test_every_round_keeps_the_sums(assignment):
    config = FedamoleConfig(assignment=assignment)
    played, method = recorded("fedamole", config=config, **FEW)
    states = [*method.states, played.state]
    for state in states:
        assert np.all(held(state).sum(axis=2) == 2)
        counts = held(state).sum(axis=1)
        assert counts.min() >= 2
        assert counts.max() <= 8
        assert (counts.min() == counts.max()) == (assignment == "homogeneous")
    has_moved = [not np.array_equal(held(a), held(b)) for a, b in pairwise(states)]
    assert any(has_moved) == all(has_moved) == (assignment != "static")


def test_clients_get_the_experts_dealt_to_them():
    method = installed(FedamoleConfig())
    state = method.initial_state()
    for client_id in range(10):
        payload = method.download(state, client_id=client_id)
        for index, name in enumerate(method.layers):
            ids = payload.tensors[f"{name}.expert_ids"]
            assert np.array_equal(ids, np.flatnonzero(held(state)[index, :, client_id]))
            for part in ("domain_A", "domain_B"):
                whole = state.tensors[f"{name}.experts.{part}"]
                assert torch.equal(payload.tensors[f"{name}.experts.{part}"], whole[ids.long()])
    factors = state.tensors[f"{name}.experts.domain_A"]
    assert len({tuple(row.flatten().tolist()) for row in factors}) == 30


def test_means_are_unweighted_and_over_holders():
    _, method = recorded("fedamole", num_rounds=1, **FEW)
    made = [item.payload.tensors for item in method.contributions[0]]
    assert len({item.weight for item in method.contributions[0]}) == 1
    scaled = [replace(item, weight=7 + i) for i, item in enumerate(method.contributions[0])]
    after = method.method.aggregate(method.states[0], scaled)
    for name, tensor in after.tensors.items():
        if name.endswith(("expert_ids", "domain_A", "domain_B")):
            continue
        expected = torch.stack([each[name].double() for each in made]).mean(dim=0)
        torch.testing.assert_close(tensor.double(), expected, rtol=1e-6, atol=1e-8)
    layer = next(iter(method.layers))
    for expert in range(18):
        holders = [each for each in made if expert in each[f"{layer}.expert_ids"].tolist()]
        assert len(holders) == 2
        rows = [
            each[f"{layer}.experts.domain_B"][each[f"{layer}.expert_ids"] == expert][0].double()
            for each in holders
        ]
        found = after.tensors[f"{layer}.experts.domain_B"][expert].double()
        torch.testing.assert_close(found, torch.stack(rows).mean(dim=0), rtol=1e-6, atol=1e-8)
        assert found.abs().max() > 0


def test_experts_choose_by_the_embeddings_received():
    played, method = recorded("fedamole", num_rounds=1, **FEW)
    made = {item.client_id: item.payload.tensors for item in method.contributions[0]}
    for index, name in enumerate(method.layers):
        clients = torch.stack([made[i][f"{name}.client_embedding"] for i in range(6)]).double()
        experts = torch.zeros(18, RANK, dtype=torch.float64)
        for tensors in made.values():
            embeddings = tensors[f"{name}.expert_embeddings"].double()
            experts[tensors[f"{name}.expert_ids"].long()] += embeddings / 2
        wanted = assign(
            preferences(experts.float().double().numpy(), clients.numpy()),
            clients_per_expert=2,
            min_experts=2,
            max_experts=8,
        )
        assert np.array_equal(held(played.state)[index], wanted)


@pytest.mark.parametrize("mask_padding", [True, False])
def test_embeddings_are_means_over_tokens(mask_padding):
    module = classifier()
    method = installed(FedamoleConfig(mask_padding=mask_padding), module=module)
    worker = Worker(
        module=module, method=method, train=examples(60), test=examples(10), model_key="key"
    )
    start = start_of(method, method.initial_state(), 4)
    job = TrainJob(
        model_key="key",
        client_id=4,
        round=1,
        version=0,
        start=start,
        samples=np.arange(5, 55),
        settings=JobSettings(
            local_steps=2,
            local_epochs=None,
            batch_size=2,
            learning_rate=1e-2,
            weight_decay=0.0,
            max_gradient_norm=None,
        ),
        seed=1,
    )
    result = run_job(job, worker)
    assert result.tensors["client_id"].tolist() == [4]
    # 5 % of 50 texts, rounded to even: 2, one batch.
    ((one, other),) = method.finish_batches(job.samples, batch_size=2)
    assert [one, other] == [5, 30]
    batch = worker.train.batch(np.array([one, other]))
    mask = batch.attention_mask if mask_padding else torch.ones_like(batch.attention_mask)
    inputs = {}
    for name, layer in method.layers.items():
        layer.base_layer.register_forward_pre_hook(
            lambda _, args, name=name: inputs.__setitem__(name, args[0])
        )
    worker.load({name: result.tensors[name] for name in method.initial})
    with torch.inference_mode():
        module.score(batch)
    assert (batch.attention_mask == 0).any()
    for name in method.layers:
        tokens = inputs[name][mask.bool()].double()
        for expected, found in (
            (result.tensors[f"{name}.experts.projection"], f"{name}.client_embedding"),
            (result.tensors[f"{name}.experts.domain_A"], f"{name}.expert_embeddings"),
        ):
            of_tokens = torch.einsum("...ri,ti->t...r", expected.double(), tokens)
            torch.testing.assert_close(
                result.tensors[found].double(), of_tokens.mean(dim=0), rtol=1e-4, atol=1e-5
            )


def test_the_embedding_set_is_a_twentieth_and_at_most_200():
    method = installed(FedamoleConfig())
    for size, count in [(1, 1), (19, 1), (100, 5), (3999, 200), (9000, 200)]:
        batches = method.finish_batches(np.arange(size), batch_size=16)
        texts = np.concatenate(batches)
        assert len(texts) == len(set(texts)) == count
        assert max(map(len, batches)) <= 16


def test_no_step_trains_on_the_embedding_set():
    played = federation(FedamoleConfig(), **FEW)
    method, samples = played.method, played.shards[0].train
    plan = played.procedure.plan(samples, seed=4)
    embedded = set(np.concatenate(plan.forward))
    assert embedded
    assert not embedded & set(np.concatenate(plan.steps))
    trained = method.trained_texts(samples, batch_size=8)
    assert sorted([*embedded, *trained]) == sorted(samples)
    dealt_at_random = installed(FedamoleConfig(assignment="random"))
    assert dealt_at_random.trained_texts(samples, batch_size=8) is samples


def test_balance_enters_the_loss():
    module = classifier()
    method = installed(FedamoleConfig(), module=module)
    start = start_of(method, method.initial_state(), 0)
    module.loss(examples(8).batch(np.arange(8)))
    losses = [layer.experts.balance.item() for layer in method.layers.values()]
    assert method.penalty({}, start).item() == pytest.approx(1e-3 * sum(losses), rel=1e-6)
    assert all(loss > 0.9 for loss in losses)
    with pytest.raises(RuntimeError, match=r"^penalty: a forward pass that records gradients"):
        method.penalty({}, start)
    without = installed(FedamoleConfig(balance_weight=None))
    assert without.penalty({}, start) is None


def test_padding_changes_the_balance_only_where_it_is_not_masked():
    def balance(mask_padding, *, num_padding):
        module = classifier()
        method = installed(FedamoleConfig(mask_padding=mask_padding), module=module)
        ids = torch.arange(1, 8).reshape(1, 7)
        padded = torch.nn.functional.pad(ids, (0, num_padding))
        module(padded, (padded != 0).long())
        return [layer.experts.balance.item() for layer in method.layers.values()]

    assert balance(True, num_padding=5) == pytest.approx(balance(True, num_padding=0), rel=1e-5)
    assert balance(False, num_padding=5) != pytest.approx(balance(False, num_padding=0), rel=1e-3)


def test_without_domain_experts_it_is_fedit_with_equal_weights():
    training = TrainingConfig(local_steps=4, batch_size=8, learning_rate=1e-2)
    options = {"num_texts": 160, "training": training}
    ours, _ = recorded("fedamole", config=FedamoleConfig(num_domain_experts=0), **options)
    theirs, _ = recorded("fedit", config=FeditConfig(rank=8), **options)
    assert len({len(shard.train) for shard in theirs.shards}) == 1
    assert len(ours.state.tensors) == len(theirs.state.tensors)
    for name, tensor in ours.state.tensors.items():
        other = theirs.state.tensors[name.replace("experts.shared_", "lora_")]
        assert torch.equal(tensor, other)
    assert ours.uplink_bytes == pytest.approx(theirs.uplink_bytes, rel=0.05)
    assert ours.method.same_download


def test_numbers_on_llama_3_2_1b():
    """The mean over clients of what the model of the paper takes: 6,488,064, 7.6 times LoRA."""
    with torch.device("meta"):
        causal = LlamaForCausalLM(
            LlamaConfig(
                hidden_size=2048,
                intermediate_size=8192,
                num_hidden_layers=16,
                num_attention_heads=32,
                num_key_value_heads=8,
                vocab_size=128_256,
            )
        )
        module = LanguageModel(causal)
    method = installed(FedamoleConfig(num_domain_experts=30), module=module)
    state = method.initial_state()
    ups, downs = [], []
    for client_id in range(10):
        start = start_of(method, state, client_id)
        down = method.download(state, client_id=client_id)
        up = method.upload({**start.tensors, **start.client_outputs}, version=0)
        ups.append(sum(each.numel() for each in up.tensors.values()))
        downs.append(sum(each.numel() for each in down.tensors.values()))
        assert down.tensor_bytes == 4 * downs[-1]
    ids, embeddings = 6 * 32, (6 + 1) * 8 * 32
    assert np.mean(downs) == 6_488_064 + ids
    assert np.mean(ups) == 6_488_064 + ids + embeddings
    assert len(set(downs)) > 1


def test_who_is_measured_with_what():
    played, method = recorded("fedamole", cohort=2, num_clients=6, num_rounds=2, num_texts=240)
    assert not all(client_id in played.personal for client_id in range(6))
    last = {item.client_id: item.payload.tensors for made in method.contributions for item in made}
    for client_id in range(6):
        model = method.personal_model(played.state, played.personal.of(client_id))
        sent = last.get(client_id)
        if sent is None:
            sent = method.method.download(played.state, client_id=client_id).tensors
        assert all(torch.equal(model[name], sent[name]) for name in model)

    dispatched, method = recorded(
        "fedamole", config=FedamoleConfig(evaluation="dispatched"), num_rounds=1
    )
    for client_id in range(4):
        held_by = dispatched.personal.of(client_id)
        assert held_by.keys() == {"client_id"}
        model = method.personal_model(dispatched.state, held_by)
        sent = method.method.download(dispatched.state, client_id=client_id).tensors
        assert all(torch.equal(model[name], sent[name]) for name in model)


def test_a_personal_head_stays():
    config = FedamoleConfig(head="personal")
    played, method = recorded("fedamole", config=config)
    assert not any(name.startswith("head.") for name in played.state.tensors)
    for items in method.contributions:
        assert not any(name.startswith("head.") for each in items for name in each.payload.tensors)
    heads = [played.personal.of(client_id)["head.weight"] for client_id in range(4)]
    assert not torch.equal(heads[0], heads[1])
    start = method.start(
        method.method.download(played.state, client_id=1),
        played.personal.of(1),
        version=3,
    )
    assert torch.equal(start.tensors["head.weight"], heads[1])


def test_language_models_have_experts_too():
    played, _ = recorded("fedamole", task="generation")
    losses = [row.mean for row in played.recorder.evaluations if row.metric == "loss"]
    assert losses[-1] < losses[0]


def test_embeddings_are_a_cost_of_the_client():
    with_, without = (
        federation(FedamoleConfig(assignment=each), num_rounds=1, cohort=4)
        for each in ("embeddings", "random")
    )
    assert isinstance(with_, Federation)
    samples = with_.shards[0].train
    assert [len(batch) for batch in with_.method.finish_batches(samples, batch_size=8)] == [2]
    assert without.method.finish_batches(samples, batch_size=8) == ()
    start = start_of(without.method, without.state, 0)
    assert start.client_outputs.keys() == {"client_id"}


def step_flop(lengths, *, batch_size, num_tokens):
    """By hand, as :func:`lora_step_flop`: experts and projection are LoRA of more rows.

    Of n experts at a layer, (n + 2) r rows from d and (n + 1) r to d; forward 2, backward 4 a
    multiply-add, less what the first layer's input does not need.
    """
    plain = lora_step_flop(
        batch_size=batch_size,
        num_tokens=num_tokens,
        hidden=32,
        feed_forward=64,
        layers=2,
        rank=8,
        num_classes=3,
    )
    unit = 2 * batch_size * num_tokens * 32 * 8
    lora = 2 * (3 * 2 * 2 * unit) - 2 * unit
    first, second = lengths[:2], lengths[2:]
    experts = sum(3 * (n + 2 + n + 1) for n in (*first, *second)) - sum(n + 2 for n in first)
    return plain - lora + unit * experts


def test_operations_are_counted_by_the_expert():
    module = classifier()
    method = installed(FedamoleConfig(), module=module)
    by_row = CostModel(module, max_tokens=12, row_groups=method.row_groups)
    by_shape = CostModel(module, max_tokens=12)
    for client_id in range(10):
        start = start_of(method, method.initial_state(), client_id)
        lengths = [start.tensors[group[0]].shape[0] for group in method.row_groups]
        for trainable in (start.trainable, ()):
            shape = {"batch_size": 5, "num_tokens": 9, "tensors": start.tensors}
            found = by_row.step_flop(trainable, **shape)
            if client_id < 2:
                assert found == by_shape.step_flop(trainable, **shape)
            if trainable:
                assert found == step_flop(lengths, batch_size=5, num_tokens=9)
    # A polynomial of one client and of a single row, and a row more at each of four layers.
    assert len(by_row._steps) == 2 * (5 + 5 + 4)


@pytest.mark.parametrize("num_clients", [2, 3, 4, 5, 7, 10, 12, 20, 33])
def test_defaults_can_be_dealt_to_any_number_of_clients(num_clients):
    config = FedamoleConfig()
    assert not config.find_problems(num_clients=num_clients, task="classification")
    counts = held(installed(config, num_clients=num_clients).initial_state()).sum(axis=1)
    assert np.all(counts.sum(axis=1) == 6 * num_clients)


def test_settings_without_effect_are_refused_beside_what_makes_them_so():
    assert problems(assignment="homogeneous", max_experts=20) == [
        "max_experts: has no effect with assignment homogeneous, which gives every client as many, "
        "got 20"
    ]
    for assignment in ("random", "static"):
        assert problems(assignment=assignment, balance_weight=None, mask_padding=False) == [
            f"mask_padding: has no effect with assignment {assignment} and balance_weight null: "
            "there is no embedding and no balance loss to leave padding out of, got false"
        ]
        assert not problems(assignment=assignment, balance_weight=None)
        assert not problems(assignment=assignment, mask_padding=False)
    assert not problems(balance_weight=None, mask_padding=False)
    assert problems(num_domain_experts=10, balance_weight=0.5) == [
        "balance_weight: has no effect with num_domain_experts 10: each client holds top_k = 2, "
        "all of which every token goes through, got 0.5"
    ]
    assert not problems(num_domain_experts=10, balance_weight=None)


def test_where_all_experts_are_chosen_the_balance_loss_is_a_constant():
    logits = torch.randn((7, 3), generator=torch.Generator().manual_seed(1), requires_grad=True)
    _, is_chosen = route(logits, top_k=3)
    loss = balance_loss(logits, is_chosen)
    loss.backward()
    assert loss.item() == pytest.approx(1.0)
    assert logits.grad.abs().max() < 1e-7


def problems(num_clients=10, *, task="classification", **settings):
    found = FedamoleConfig(**settings).find_problems(num_clients=num_clients, task=task)
    return [f"{'.'.join(path)}: {message}" for path, message in found]


def test_what_cannot_be_dealt_is_refused():
    few = "num_domain_experts: must be in 10..40, so that each of 10 clients holds 2 to 8, got "
    assert problems(num_domain_experts=9) == [few + "9"]
    assert problems(num_domain_experts=41) == [few + "41"]
    assert not problems(num_domain_experts=10)
    assert not problems(num_domain_experts=40)
    assert problems(1, clients_per_expert=2) == [
        "clients_per_expert: must be <= clients.num_clients = 1, got 2"
    ]
    assert problems(max_experts=1) == ["max_experts: must be >= top_k = 2, got 1"]
    (rule,) = problems(max_experts=5)
    assert rule.startswith("num_domain_experts: must be given: its usual 30 for 10 clients is not")
    assert problems(num_domain_experts=0, top_k=3, assignment="random") == [
        "top_k: has no effect without domain experts, got 3",
        "assignment: has no effect without domain experts, got random",
    ]
    even = {"assignment": "homogeneous", "max_experts": 8}
    assert problems(num_domain_experts=9, **even) == [
        "num_domain_experts: must be in 10.., so that each of 10 clients holds 2 or more, got 9"
    ]
    assert not problems(num_domain_experts=60, **even)
    assert problems(task="generation", head="personal") == [
        "head: has no effect: language models have no head of their own, got personal"
    ]
    with pytest.raises(ValueError, match=r"^clients_per_expert: 9 experts that pick 2 clients"):
        installed(FedamoleConfig(num_domain_experts=9))
    with pytest.raises(ValueError, match=r"^num_clients: fedamole needs the number of clients$"):
        installed(FedamoleConfig(), num_clients=None)


def test_usual_experts_stay_within_a_bound_that_few_clients_do_not_meet():
    usual = FedamoleConfig()
    for num_clients in (2, 10, 20, 40):
        assert usual.num_experts(num_clients) == 3 * num_clients
        assert usual.num_holders(num_clients) == 2
    for num_clients in range(41, 3000, 37):
        count, holders = usual.num_experts(num_clients), usual.num_holders(num_clients)
        assert count <= 120
        assert 6 * num_clients <= count * holders < 6 * num_clients + holders
        assert not problems(num_clients)
    assert (usual.num_experts(1000), usual.num_holders(1000)) == (120, 50)
    own = FedamoleConfig(clients_per_expert=4)
    assert (own.num_experts(1000), own.num_holders(1000)) == (1500, 4)


def test_a_deal_that_takes_long_is_warned_of():
    assert FedamoleConfig().find_warnings(num_clients=1000) == ()
    assert FedamoleConfig(clients_per_expert=2).find_warnings(num_clients=100) == ()
    (line,) = FedamoleConfig(clients_per_expert=2).find_warnings(num_clients=1000)
    assert line.startswith("fedamole deals 3000 experts to 1000 clients in every layer after every")
    once = FedamoleConfig(clients_per_expert=2, assignment="static")
    assert once.find_warnings(num_clients=1000) == ()


def test_a_thousand_clients_are_dealt_to_by_default():
    method = installed(FedamoleConfig(rank=1), num_clients=1000)
    dealt = method.initial_state().memory["assignment"]
    assert dealt.shape == (LAYERS, 120, 1000)
    assert (dealt.sum(dim=2) == 50).all()
    held = dealt.sum(dim=1)
    assert 2 <= held.min() <= held.max() <= 8
