"""The same samples and rewards give the loss and the gradient of trl's trainers.

trl reads its reference from disk, patches the model that it is given, seeds the generators of the
process, and has bf16 and gradient checkpointing on: it is given a copy, a reference and settings,
and generators are put back.
"""

import copy
from dataclasses import replace

import pytest
import torch
import transformers
from datasets import Dataset

from fl.global_generators import seeded_generators
from fl.models.language import LanguageModel
from fl.training.policy_settings import PolicySettings
from fl.training.steps import Optimiser
from tests.fl.models import zoo
from tests.fl.training.alignment import SETTINGS, aligned, moved, prompts

GROUP = 4
WEIGHT = 0.3


def short(words):
    return 1.0 / (1.0 + sum(len(word) for word in words))


def varied(words):
    return len(set("".join(words))) / 8


def small_llama():
    config = transformers.AutoConfig.for_model(
        "llama", vocab_size=zoo.VOCABULARY_SIZE, eos_token_id=5, **zoo.TYPES["llama"]
    )
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(4)
        return transformers.AutoModelForCausalLM.from_config(
            config, attn_implementation="eager"
        ).eval()


class Recorded:
    """Notes loss and gradients of each update, before the method's penalty."""

    def __init__(self, monkeypatch):
        self.losses, self.gradients, self.values = [], [], []
        update = Optimiser.update

        def recording(optimiser, loss, *, step):
            self.values.append({n: p.detach().clone() for n, p in optimiser.named.items()})
            names = list(optimiser.named)
            found = torch.autograd.grad(
                loss, [optimiser.named[name] for name in names], retain_graph=True
            )
            self.losses.append(loss.item())
            self.gradients.append(dict(zip(names, found, strict=True)))
            update(optimiser, loss, step=step)

        monkeypatch.setattr(Optimiser, "update", recording)


def trainer_of(algorithm, causal, reference, written, *, policy, folder):
    """Return trl's trainer on a copy of a model, that finds these samples written."""
    import trl  # noqa: PLC0415 -- slow to import
    from trl.trainer.utils import add_fused_lm_head  # noqa: PLC0415

    config, base, settings = {
        "grpo": (trl.GRPOConfig, trl.GRPOTrainer, {"loss_type": "grpo"}),
        "rloo": (trl.RLOOConfig, trl.RLOOTrainer, {}),
    }[algorithm]

    class Given(base):
        def _generate(self, prompts):
            texts = self.processing_class.batch_decode(written[1], skip_special_tokens=True)
            if algorithm == "rloo":
                return *written, texts
            return *written, None, texts, None, {}, None, None

    tokenizer = zoo.tokenizer(is_decoder=True)
    args = config(
        str(folder),
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        max_steps=1,
        per_device_train_batch_size=len(written[0]),
        num_generations=GROUP,
        num_iterations=policy.num_epochs,
        max_completion_length=policy.max_new_tokens,
        temperature=policy.temperature,
        beta=0.0,  # or the reference would be read here
        epsilon=policy.clip,
        reward_weights=[WEIGHT, 1 - WEIGHT],
        disable_dropout=True,
        **settings,
    )
    with seeded_generators(3):
        trainer = Given(
            copy.deepcopy(causal),
            [
                lambda completions, **_: [short(text.split()) for text in completions],
                lambda completions, **_: [varied(text.split()) for text in completions],
            ],
            args=args,
            processing_class=tokenizer,
            train_dataset=Dataset.from_dict({"prompt": ["a"]}),
        )
    trainer.beta = policy.kl_weight
    trainer.ref_model = copy.deepcopy(reference)
    add_fused_lm_head(trainer.ref_model, temperature=policy.temperature)
    trainer.current_gradient_accumulation_steps = 1
    return trainer


@pytest.mark.parametrize("num_epochs", [1, 2])
@pytest.mark.parametrize("algorithm", ["grpo", "rloo"])
def test_loss_and_gradient_are_those_of_trl(algorithm, num_epochs, monkeypatch, tmp_path):
    causal = small_llama()
    reference = copy.deepcopy(causal)
    module = LanguageModel(causal)
    policy = PolicySettings(
        algorithm=algorithm,
        num_steps=1,
        prompts_per_step=3,
        num_completions=GROUP,
        max_new_tokens=10,
        temperature=0.8,
        kl_weight=0.3,
        clip=0.2,
        num_epochs=num_epochs,
    )
    names = [name for name, _ in module.named_parameters() if "layers.1." in name]
    procedure, worker, job = aligned(
        module,
        names=names,
        policy=policy,
        weight=WEIGHT,
        helpfulness=short,
        safety=varied,
        train=prompts(vocabulary_size=zoo.VOCABULARY_SIZE),
        tokenizer=zoo.tokenizer(is_decoder=True),
        settings=replace(SETTINGS, learning_rate=3e-3),
    )
    job = moved(job, scale=0.3)
    samples = []
    sample = LanguageModel.sample
    monkeypatch.setattr(
        LanguageModel,
        "sample",
        lambda *args, **kwargs: (
            samples.append((args[1], sample(*args, **kwargs))) or samples[-1][1]
        ),
    )
    recorded = Recorded(monkeypatch)
    procedure.run(job, worker)
    ((prompt_ids, written),) = samples
    answers = [own if len(own) == 10 else [*own, 5] for own in written]
    assert len({len(own) for own in answers}) > 1 or len(answers[0]) == 10

    worker.load(job.start.tensors)
    trainer = trainer_of(
        algorithm, causal, reference, (prompt_ids, answers), policy=policy, folder=tmp_path
    )
    model = trainer.model.train()
    inputs = trainer._generate_and_score_completions([{"prompt": "a"}] * len(answers))
    named = {name: model.get_parameter(_place(name)) for name in names}
    for epoch in range(num_epochs):
        for name, parameter in named.items():
            parameter.data = recorded.values[epoch][name].clone()
            parameter.requires_grad_(True)
        loss = trainer._compute_loss(model, inputs)
        found = dict(zip(names, torch.autograd.grad(loss, list(named.values())), strict=True))
        assert recorded.losses[epoch] == pytest.approx(loss.item(), abs=2e-6)
        for name in names:
            own = recorded.gradients[epoch][name]
            assert torch.allclose(own, found[name], rtol=1e-3, atol=1e-6), name
        assert max(float(each.abs().max()) for each in found.values()) > 1e-3
    assert len(recorded.losses) == num_epochs


def _place(name):
    """Name a parameter of :class:`LanguageModel` as the causal model does."""
    return name.replace("encoder.", "model.", 1)
