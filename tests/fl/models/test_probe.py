"""Facts of many architectures, beside what was read by hand in their code."""

import pytest
import torch
import transformers
from torch import nn

from fl.models.probe import ModelFacts, probe, unused_parameters
from fl.problems import ModelError
from tests.fl.models import zoo

FACTS = {
    # Positions, token types, causal. RoBERTa's positions begin at the padding id + 1, MPNet's at 2.
    "bert": (40, 2, False),
    "roberta": (39, 0, False),
    "mpnet": (38, 0, False),
    "distilbert": (40, 0, False),
    "albert": (40, 2, False),
    "modernbert": (40, 0, False),
    "gpt2": (40, 0, True),
    "opt": (40, 0, True),
    "bloom": (None, 0, True),
    "llama": (40, 0, True),
    "granite": (40, 0, True),
}


def build(name, **settings):
    keys = {"vocab_size": zoo.VOCABULARY_SIZE, "pad_token_id": 0, **zoo.TYPES[name], **settings}
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        config = transformers.AutoConfig.for_model(name, **keys)
        return transformers.AutoModel.from_config(config, attn_implementation="eager").eval()


@pytest.mark.parametrize("name", FACTS)
def test_facts(name):
    settings = {"type_vocab_size": 1} if name == "roberta" else {}
    num_positions, num_token_types, is_causal = FACTS[name]
    assert probe(build(name, **settings)) == ModelFacts(
        hidden_size=16 if name == "opt" else 32,  # OPT projects back to its word embedding's
        vocabulary_size=zoo.VOCABULARY_SIZE,
        num_positions=num_positions,
        num_token_types=num_token_types,
        is_causal=is_causal,
    )


@pytest.mark.parametrize("name", ["bert", "roberta", "mpnet", "distilbert", "gpt2", "opt"])
def test_the_longest_text_has_positions_and_one_more_token_has_not(name):
    """The figure is the model's own limit: the forward pass goes so far and no further."""
    encoder = build(name)
    longest = probe(encoder).num_positions
    ids = torch.full((1, longest + 1), 9)
    with torch.no_grad():
        encoder(input_ids=ids[:, :-1], attention_mask=torch.ones_like(ids[:, :-1]))
        with pytest.raises((IndexError, RuntimeError)):
            encoder(input_ids=ids, attention_mask=torch.ones_like(ids))


def test_models_that_read_no_text_or_give_no_number_are_refused():
    broken = build("bert")
    broken.encoder.layer[0].output.dense.bias.data[0] = float("nan")
    with pytest.raises(ModelError, match=r"^model\.name: .*finite"):
        probe(broken)
    images = transformers.ViTModel(
        transformers.ViTConfig(
            hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2
        )
    )
    with pytest.raises(ModelError, match=r"^model\.name: a ViTModel "):
        probe(images)


def test_parameters_that_an_output_does_not_depend_on():
    module = nn.ModuleDict({"used": nn.Linear(2, 2), "spare": nn.Linear(2, 2)})
    output = module["used"](torch.ones(1, 2))
    assert unused_parameters(module, output) == {"spare.weight", "spare.bias"}
