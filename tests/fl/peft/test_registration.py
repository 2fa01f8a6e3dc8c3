"""Our tuners through peft's own functions: train, save, load, count, switch off, and no merging."""

import json

import peft
import pytest
import torch
import transformers
from peft.mapping import PEFT_TYPE_TO_TUNER_MAPPING
from safetensors.torch import load_file

from fl.peft.bottleneck import BottleneckAdapter, add_bottleneck_adapters
from fl.peft.registration import register, register_tuner
from fl.peft.tensor_train import TensorTrainLinear
from fl.peft.tensor_train_adapter import TensorTrainAdapter, add_tensor_train_adapters
from fl.peft.tuners.config import BottleneckConfig, TensorTrainConfig, TunerType
from fl.peft.tuners.model import BottleneckModel, TensorTrainModel
from tests.fl.peft.architectures import ARCHITECTURES, generator, tokens

CAUSAL = {"gpt2": transformers.GPT2LMHeadModel, "llama": transformers.LlamaForCausalLM}
CLASSIFIERS = {
    "bert": transformers.BertForSequenceClassification,
    "roberta": transformers.RobertaForSequenceClassification,
    "deberta-v2": transformers.DebertaV2ForSequenceClassification,
}
CONFIGS = {
    "bottleneck": lambda **settings: BottleneckConfig(adapter_dim=16, **settings),
    "tensor_train": lambda **settings: TensorTrainConfig(adapter_dim=16, rank=3, **settings),
}
# Of width 32 and bottleneck 16; trains of modes 4 8 4 4 and 4 4 8 4 at rank 3.
NUMBERS = {"bottleneck": 2 * 32 * 16 + 32 + 16, "tensor_train": 2 * (3 * 8 + 9 * 12) + 32 + 16}


def base(name):
    _, config = ARCHITECTURES[name]
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(4)
        return {**CAUSAL, **CLASSIFIERS}[name](config).eval()


def logits(model):
    input_ids, mask = tokens()
    with torch.inference_mode():
        return model(input_ids=input_ids, attention_mask=mask).logits


def train_a_step(model):
    parameters = [each for each in model.parameters() if each.requires_grad]
    input_ids, mask = tokens()
    model(input_ids=input_ids, attention_mask=mask).logits.square().sum().backward()
    assert all(each.grad is not None for each in parameters)
    torch.optim.SGD(parameters, lr=1e-2).step()


@pytest.mark.parametrize("name", [*CAUSAL, *CLASSIFIERS])
@pytest.mark.parametrize("tuner", CONFIGS)
def test_round_trip(tuner, name, tmp_path):
    task = "CAUSAL_LM" if name in CAUSAL else "SEQ_CLS"
    plain = logits(base(name))
    model = peft.get_peft_model(base(name), CONFIGS[tuner](task_type=task)).eval()
    head = sum(
        parameter.numel() for key, parameter in model.named_parameters() if "modules_to_save" in key
    )
    assert (head > 0) == (task == "SEQ_CLS")
    trainable, _ = model.get_nb_trainable_parameters()
    assert trainable - head == 2 * 2 * NUMBERS[tuner]
    assert torch.equal(logits(model), plain) == (tuner == "bottleneck")
    train_a_step(model)
    trained = logits(model)
    assert not torch.allclose(trained, plain)

    model.save_pretrained(tmp_path)
    saved = load_file(tmp_path / "adapter_model.safetensors")
    assert sum(tensor.numel() for tensor in saved.values()) == trainable
    assert not any(".default." in key for key in saved)
    assert json.loads((tmp_path / "adapter_config.json").read_text())["peft_type"] == tuner.upper()

    loaded = peft.PeftModel.from_pretrained(base(name), tmp_path).eval()
    assert torch.equal(logits(loaded), trained)
    with loaded.disable_adapter():
        assert torch.equal(logits(loaded), plain)


@pytest.mark.parametrize("after", ["attention", "mlp"])
@pytest.mark.parametrize("tuner", CONFIGS)
def test_after_one_projection(tuner, after, tmp_path):
    model = peft.get_peft_model(base("gpt2"), CONFIGS[tuner](after=after)).eval()
    trainable, _ = model.get_nb_trainable_parameters()
    assert trainable == 2 * NUMBERS[tuner]
    part = {"attention": ".attn.c_proj", "mlp": ".mlp.c_proj"}[after]
    assert all(name.endswith(part) for name in model.base_model.targeted_module_names)
    train_a_step(model)
    model.save_pretrained(tmp_path)
    loaded = peft.PeftModel.from_pretrained(base("gpt2"), tmp_path).eval()
    assert torch.equal(logits(loaded), logits(model))


@pytest.mark.parametrize("name", ["roberta", "llama"])
def test_simulator_and_peft_put_in_the_same_layers(name):
    """The same values in both forms give the same logits, bit for bit."""
    kinds = {
        "bottleneck": (BottleneckAdapter, add_bottleneck_adapters, {}),
        "tensor_train": (TensorTrainAdapter, add_tensor_train_adapters, {"rank": 3}),
    }
    for tuner, (layer, add, settings) in kinds.items():
        ours = base(name)
        add(ours, dim=16, generator=generator(), **settings)
        theirs = peft.get_peft_model(base(name), CONFIGS[tuner]()).eval()
        pairs = zip(
            [module for module in ours.modules() if isinstance(module, layer)],
            [module for module in theirs.modules() if isinstance(module, layer)],
            strict=True,
        )
        for number, (one, other) in enumerate(pairs):
            for parameter in one.parameters():
                parameter.data.normal_(std=0.1, generator=generator(number))
            other.load_state_dict(one.state_dict())
        assert torch.equal(logits(ours), logits(theirs))


def test_a_train_in_place_of_the_classifiers_square_layer(tmp_path):
    config = TensorTrainConfig(
        adapter_dim=16, rank=3, classifier="classifier.dense", modules_to_save=["out_proj"]
    )
    model = peft.get_peft_model(base("roberta"), config).eval()
    trainable, _ = model.get_nb_trainable_parameters()
    # 32 x 32 as (4, 8, 8, 4); the last layer has two classes.
    assert trainable == 4 * NUMBERS["tensor_train"] + 3 * 8 + 9 * 16 + 32 + 2 * 32 + 2
    train_a_step(model)
    model.save_pretrained(tmp_path)
    loaded = peft.PeftModel.from_pretrained(base("roberta"), tmp_path).eval()
    assert torch.equal(logits(loaded), logits(model))
    layers = [each for each in loaded.modules() if isinstance(each, TensorTrainLinear)]
    assert len(layers) == 2 * 4 + 1
    with pytest.raises(ValueError, match=r"^classifier: must be empty with task_type SEQ_CLS"):
        TensorTrainConfig(classifier="classifier.dense", task_type="SEQ_CLS")


def test_published_number_on_roberta_base():
    with torch.device("meta"):
        model = transformers.RobertaForSequenceClassification(transformers.RobertaConfig())
    config = TensorTrainConfig(classifier="classifier.dense", modules_to_save=["out_proj"])
    adapted = peft.get_peft_model(model, config, low_cpu_mem_usage=True)
    assert adapted.get_nb_trainable_parameters()[0] == 60_794


def test_several_adapters_in_one_model(tmp_path):
    model = peft.get_peft_model(base("bert"), CONFIGS["tensor_train"](seed=1)).eval()
    first = logits(model)
    model.add_adapter("other", CONFIGS["tensor_train"](seed=2))
    assert torch.equal(logits(model), first)
    model.set_adapter("other")
    second = logits(model)
    assert not torch.equal(second, first)
    model.save_pretrained(tmp_path)
    again = peft.PeftModel.from_pretrained(base("bert"), tmp_path / "other").eval()
    assert torch.equal(logits(again), second)
    model.delete_adapter("other")
    model.set_adapter("default")
    assert torch.equal(logits(model), first)
    assert torch.equal(logits(model.unload()), logits(base("bert")))


def test_first_values_come_from_the_seed_alone():
    state = torch.random.get_rng_state()
    one, two = (peft.get_peft_model(base("bert"), CONFIGS["tensor_train"]()) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(logits(one.eval()), logits(two.eval()))


@pytest.mark.parametrize("tuner", CONFIGS)
def test_merging_is_refused(tuner):
    model = peft.get_peft_model(base("bert"), CONFIGS[tuner]())
    with pytest.raises(ValueError, match="adapters are not linear and cannot be merged"):
        model.merge_and_unload()
    with pytest.raises(ValueError, match="adapters are not linear and cannot be merged"):
        model.merge_adapter()


def test_adapters_of_a_half_precision_model():
    model = peft.get_peft_model(base("llama").to(torch.bfloat16), CONFIGS["tensor_train"]()).eval()
    assert logits(model).dtype == torch.bfloat16
    train_a_step(model)


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match=r"^adapter_dim: must be >= 1, got 0$"):
        BottleneckConfig(adapter_dim=0)
    with pytest.raises(ValueError, match=r"^rank: must be >= 1, got 0$"):
        TensorTrainConfig(rank=0)
    with pytest.raises(ValueError, match=r"^after: must be one of both, attention, mlp, got 'ffn'"):
        BottleneckConfig(after="ffn")
    both = BottleneckConfig(after="mlp", target_modules=["output.dense"])
    with pytest.raises(ValueError, match=r"^after: must be empty with target_modules"):
        peft.get_peft_model(base("bert"), both)
    with pytest.raises(ValueError, match=r"^target_modules: must name linear layers, got a Emb"):
        peft.get_peft_model(base("bert"), BottleneckConfig(target_modules=["word_embeddings"]))
    with pytest.raises(ValueError, match=r"^classifier: must name a linear layer, got a Dropout"):
        peft.get_peft_model(base("bert"), TensorTrainConfig(classifier="dropout", adapter_dim=16))


def test_registration_is_idempotent_and_never_replaces():
    register()
    assert PEFT_TYPE_TO_TUNER_MAPPING["BOTTLENECK"] is BottleneckModel
    assert PEFT_TYPE_TO_TUNER_MAPPING["TENSOR_TRAIN"] is TensorTrainModel
    with pytest.raises(ValueError, match=r"^name: peft has another tuner called LORA"):
        register_tuner("LORA", config=BottleneckConfig, model=BottleneckModel)
    with pytest.raises(ValueError, match=r"or with the prefix bottleneck_$"):
        register_tuner("ANOTHER", config=BottleneckConfig, model=BottleneckModel)
    assert all(kind.name == kind.value for kind in TunerType)
