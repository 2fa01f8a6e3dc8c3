"""Policy optimisation of the last blocks: what is sent, kept, and whose preference counts."""

import numpy as np
import pytest
import torch
import transformers

from fl.methods import install_method
from fl.methods.pfit.config import PfitConfig
from fl.methods.preference import HELPFULNESS
from fl.models.language import LanguageModel
from fl.problems import ModelError
from fl.server.config import GenerationConfig
from fl.server.modes.sync import run_rounds
from tests.fl.fakes import POLICY, federation, language_model
from tests.fl.methods.recorded import recorded

GENERATION = GenerationConfig(max_texts=8, max_tokens=5)


def run(played):
    played.env.run(until=played.env.process(run_rounds(played)))


def payload_numbers(shape, version):
    """One Llama block: q and o of d^2, k and v of half as many heads, three of d x f, two norms."""
    d, wide = shape.hidden, shape.feed_forward
    numbers = 3 * d * d + 3 * d * wide + 2 * d
    return numbers, numbers


def installed(module=None, *, num_clients=5, **settings):
    module = module or language_model("gpt2")
    config = PfitConfig(**{"num_blocks": 1, "policy": POLICY, **settings})
    return install_method(
        config,
        module,
        generator=torch.Generator().manual_seed(0),
        num_clients=num_clients,
        helpfulness_of=lambda client_id: client_id / (num_clients - 1),
    )


def count(tensors):
    return sum(tensor.numel() for tensor in tensors.values())


@pytest.mark.parametrize("num_blocks", [1, 2])
def test_gpt2_blocks_have_twelve_squares_and_thirteen_widths(num_blocks):
    method = installed(num_blocks=num_blocks)
    assert count(method.initial) == num_blocks * (12 * 32**2 + 13 * 32)


def test_the_slice_of_gpt2_small():
    with torch.device("meta"):
        causal = transformers.GPT2LMHeadModel(transformers.GPT2Config())
    method = installed(LanguageModel(causal), num_blocks=2)
    assert count(method.download(method.initial_state(), client_id=0).tensors) == 14_175_744


def test_more_blocks_than_the_model_has():
    with pytest.raises(ModelError, match=r"^num_blocks: must be <= 2, .* got 3$"):
        installed(num_blocks=3)


def test_each_client_has_its_own_weight_and_it_never_travels():
    method = installed()
    state = method.initial_state()
    weights = []
    for client_id in range(5):
        download = method.download(state, client_id=client_id)
        start = method.start(download, method.initial_personal(client_id), version=0)
        upload = method.upload({**start.tensors, **start.client_outputs}, version=0)
        assert HELPFULNESS not in {*download.tensors, *upload.tensors, *start.tensors}
        weights.append(method.reward_weight(start))
    assert weights == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_one_common_reward_is_the_mean_of_the_weights():
    method = installed(preference="common", num_clients=4)
    starts = [
        method.start(
            method.download(method.initial_state(), client_id=i),
            method.initial_personal(i),
            version=0,
        )
        for i in range(4)
    ]
    assert {method.reward_weight(start) for start in starts} == {0.5}


def test_a_client_uses_what_it_tuned_and_begins_at_what_the_server_holds():
    played, method = recorded("pfit", num_rounds=2, cohort=4)
    names = set(played.state.tensors)
    for client_id in played.client_ids:
        personal = played.personal.of(client_id)
        model = method.personal_model(played.state, personal)
        tuned = {name: personal[f"tuned.{name}"] for name in names}
        assert all(model[name] is tuned[name] for name in names)
        assert any(not torch.equal(tuned[name], played.state.tensors[name]) for name in names)
        download = method.method.download(played.state, client_id=client_id)
        start = method.start(download, personal, version=2)
        assert all(start.tensors[name] is played.state.tensors[name] for name in names)


def test_clients_that_care_for_other_things_learn_other_things():
    """Even words are rewarded as helpful, odd ones as safe: the two ends must part."""
    played = federation(
        PfitConfig(
            num_blocks=2, policy=POLICY, learning_rate=1e-2, exchange="none", proximal_weight=None
        ),
        num_clients=2,
        cohort=2,
        num_rounds=12,
        metrics=("helpfulness", "safety", "reward"),
        generation=GENERATION,
    )
    run(played)
    last = {row.client_id: row for row in played.recorder.of_rewards if row.round == 12}
    assert [last[i].helpfulness_weight for i in (0, 1)] == [0.0, 0.5]
    assert last[0].safety > last[0].helpfulness + 0.2
    assert last[0].safety > last[1].safety


def test_rules():
    rules = dict(PfitConfig().find_problems(num_clients=4, task="classification"))
    assert rules[("kind",)].startswith("needs texts that are written")
    rules = dict(PfitConfig(exchange="none").find_problems(num_clients=4, task="generation"))
    assert rules[("proximal_weight",)].startswith("has no meaning where exchange is none")


def test_reward_is_the_sum_by_the_clients_own_weight():
    played = federation(
        PfitConfig(num_blocks=1, policy=POLICY),
        num_rounds=1,
        metrics=("reward",),
        generation=GENERATION,
    )
    run(played)
    rows = played.recorder.of_rewards
    assert {row.round for row in rows} == {0, 1}
    for row in rows:
        expected = row.helpfulness_weight * row.helpfulness
        expected += (1 - row.helpfulness_weight) * row.safety
        assert row.reward == pytest.approx(expected, abs=1e-12)
    of_round = {r: [row.reward for row in rows if row.round == r] for r in (0, 1)}
    for row in played.recorder.evaluations:
        if row.split == "personal":
            assert row.mean == pytest.approx(np.mean(of_round[row.round]))
