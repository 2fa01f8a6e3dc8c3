"""Writing: the cache changes no token, whatever the model and the method; draws are the model's."""

import copy
import os
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from fl.methods import METHODS
from fl.models.language import LanguageModel
from fl.models.pretrained import load_pretrained
from fl.models.registry import find_model
from fl.models.sampling import Limits, drawing, likeliest, may_cache, write_uncached
from tests.fl.fakes import SMALLEST, install, language_model
from tests.fl.models import zoo

PROMPTS = [[7, 9, 4, 8, 11, 30, 22], [15, 6], [3, 9, 4], [15, 6]]
LIMITS = {"num_tokens": 12, "stop_id": None, "pad_id": 0}
KINDS = [
    kind
    for kind in sorted(METHODS)
    if not SMALLEST[kind].find_problems(num_clients=4, task="generation")
]
WITHOUT_PLACE = {("bitfit", "llama")}
FOLDER = Path(os.environ.get("AIRTUNE_SMALL_LLAMA", "no such folder"))
"""A trained model to compare with ``generate`` on, beside the one in the package."""


def without_cache(module, prompts, *, choose=likeliest, **limits):
    with torch.inference_mode():
        return write_uncached(
            module,
            prompts,
            limits=Limits(**{**LIMITS, **limits}),
            choose=choose,
            device=torch.device("cpu"),
        )


def spread(module, *, scale=8.0):
    """Let a random model be sure of what it writes: no two tokens are nearly equally likely."""
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim > 1:
                parameter.mul_(scale)
    return module


@pytest.mark.parametrize("name", sorted(zoo.DECODERS))
def test_cache_changes_no_token_of_any_architecture(name, tmp_path):
    folder = zoo.save(tmp_path, name)
    causal, _ = load_pretrained(str(folder), name=name, task="generation")
    module = spread(LanguageModel(causal)).eval()
    assert may_cache(causal, module) == (name != "mamba")
    found = module.write(PROMPTS, **LIMITS)
    assert found == without_cache(module, PROMPTS)
    assert found[1] == found[3]
    assert len({tuple(text) for text in found}) == 3
    assert found == [module.write([prompt], **LIMITS)[0] for prompt in PROMPTS]


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
@pytest.mark.parametrize("kind", KINDS)
def test_cache_changes_no_token_of_any_method(kind, architecture):
    if (kind, architecture) in WITHOUT_PLACE:
        return
    method, module = install(kind, spread(language_model(architecture), scale=3.0))
    texts, limits = PROMPTS * 4, {**LIMITS, "num_tokens": 5}
    options = {"num_texts": len(texts), "num_tokens": 5, "temperature": 1.0}
    generator = torch.Generator()

    def drawn():
        return module.sample(texts, temperature=1.0, generator=generator.manual_seed(3), **limits)

    before = drawn()
    parameters = dict(module.named_parameters())
    generator.manual_seed(5)
    for name, value in method.initial.items():
        parameters[name].data = value + 0.4 * torch.randn(value.shape, generator=generator)
    assert may_cache(module.causal, module)
    assert module.write(texts, **limits) == without_cache(module, texts, num_tokens=5)
    found = drawn()
    assert found != before, "the method has no say"
    choose = drawing(generator=generator.manual_seed(3), **options)
    assert found == without_cache(module, texts, choose=choose, num_tokens=5)
    assert found[1] != found[3]


class Looking(torch.nn.Module):
    """A layer that adds the mean of all tokens so far, and says that it does."""

    keeps_keys = False

    def __init__(self, base_layer):
        super().__init__()
        self.base_layer = base_layer

    def forward(self, hidden):
        count = torch.arange(1, hidden.shape[1] + 1)[:, None]
        return self.base_layer(hidden + hidden.cumsum(dim=1) / count)


def test_a_layer_that_looks_at_other_tokens_is_given_the_whole_text():
    module = spread(language_model())
    module.encoder.layers[1].mlp = Looking(module.encoder.layers[1].mlp)
    found = module.write(PROMPTS, **LIMITS)
    assert found == without_cache(module, PROMPTS)
    Looking.keeps_keys = True
    try:
        assert module.write(PROMPTS, **LIMITS) != found
    finally:
        Looking.keeps_keys = False


@pytest.mark.parametrize(
    "name",
    [
        "tiny-decoder",
        pytest.param(str(FOLDER), marks=pytest.mark.skipif(not FOLDER.is_dir(), reason="absent")),
    ],
)
def test_what_is_written_is_that_of_generate(name):
    causal, tokenizer = load_pretrained(find_model(name), name=name, task="generation")
    module = LanguageModel(causal).eval()
    texts = ["Once upon a time there was a", "def mean(values", "The little dog"]
    prompts = [tokenizer(text)["input_ids"] for text in texts]
    stop_id = causal.config.eos_token_id
    found = module.write(prompts, num_tokens=24, stop_id=stop_id, pad_id=0)
    longest = max(len(prompt) for prompt in prompts)
    ids = torch.tensor([[0] * (longest - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts])
    written = causal.generate(
        input_ids=ids,
        attention_mask=mask,
        generation_config=transformers.GenerationConfig(
            max_new_tokens=24, do_sample=False, eos_token_id=stop_id, pad_token_id=0
        ),
    )
    for own, other in zip(found, written[:, longest:].tolist(), strict=True):
        ended = other.index(stop_id) if stop_id in other else len(other)
        assert own == other[:ended]
    assert max(len(own) for own in found) > 5


def test_draws_follow_the_model():
    module = language_model()
    prompt, count, temperature = [7, 9, 4], 20_000, 0.7
    drawn = module.sample(
        [prompt] * count,
        num_tokens=2,
        stop_id=None,
        pad_id=0,
        temperature=temperature,
        generator=torch.Generator().manual_seed(1),
    )
    with torch.inference_mode():
        scores = module(torch.tensor([prompt]), torch.ones(1, 3, dtype=torch.int64))[0, -1]
    expected = torch.softmax(scores.double() / temperature, dim=-1).numpy()
    first = np.bincount([text[0] for text in drawn], minlength=len(expected))
    chi_square = ((first - count * expected) ** 2 / (count * expected)).sum()
    # Mean 59, standard deviation 10.9 for 60 tokens.
    assert chi_square < 59 + 4 * 10.9
    second = np.bincount([text[1] for text in drawn], minlength=len(expected))
    assert ((first - second) ** 2).sum() > 0


def test_sampling_is_a_function_of_its_generator_alone():
    module = language_model()
    options = {**LIMITS, "temperature": 1.0}

    def drawn(seed, prompts=PROMPTS):
        return module.sample(prompts, generator=torch.Generator().manual_seed(seed), **options)

    before = torch.get_rng_state()
    first = drawn(1)
    torch.rand(3)
    assert drawn(1) == first
    assert drawn(2) != first
    torch.set_rng_state(before)
    assert drawn(1, PROMPTS[:2]) == first[:2]
    assert torch.equal(before, torch.get_rng_state())


def test_a_text_ends_where_it_stops_and_others_go_on():
    module = spread(language_model())
    options = {"temperature": 1.0, "num_tokens": 12, "pad_id": 0}
    texts = PROMPTS * 3

    def drawn(stop_id):
        generator = torch.Generator().manual_seed(1)
        return module.sample(texts, stop_id=stop_id, generator=generator, **options)

    free = drawn(None)
    stop_id = free[0][3]
    stopped = drawn(stop_id)
    for own, other in zip(stopped, free, strict=True):
        assert own == (other[: other.index(stop_id)] if stop_id in other else other)
    assert len({len(text) for text in stopped}) > 1
    at_once = module.write(
        PROMPTS, num_tokens=12, stop_id=module.write(PROMPTS[:1], **LIMITS)[0][0], pad_id=0
    )
    assert at_once[0] == []


def test_no_token_of_probability_0_is_drawn():
    scores = torch.full((1000, 5), -torch.inf)
    scores[:, 1] = scores[:, 3] = 0.0
    choose = drawing(
        num_texts=1000, num_tokens=1, temperature=1.0, generator=torch.Generator().manual_seed(1)
    )
    assert set(choose(scores, list(range(1000)), 0)) == {1, 3}


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_temperature_is_above_0(temperature):
    with pytest.raises(ValueError, match=r"^temperature: must be above 0, got"):
        language_model().sample(
            PROMPTS, temperature=temperature, generator=torch.Generator(), **LIMITS
        )


def test_an_empty_prompt_is_refused_and_nothing_is_no_error():
    module = language_model()
    with pytest.raises(ValueError, match=r"^prompts: each must have at least 1 token"):
        module.write([[3], []], **LIMITS)
    assert module.write([], **LIMITS) == []
    assert module.write([[3]], num_tokens=0, stop_id=None, pad_id=0) == [[]]


def test_values_of_the_model_stay():
    module = language_model()
    before = copy.deepcopy(module.state_dict())
    module.write(PROMPTS, **LIMITS)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    loss = module(torch.tensor([[3, 4]]), torch.ones(1, 2, dtype=torch.int64)).sum()
    loss.backward()
