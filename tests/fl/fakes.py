"""A small random encoder, separable token texts and an in-memory recorder, shared by the tests."""

from dataclasses import dataclass, field, replace

import numpy as np
import simpy
import torch
from transformers import (
    BertConfig,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    RobertaConfig,
    RobertaModel,
)

from fl.clients.availability import AlwaysAvailable
from fl.clients.config import ClientsConfig
from fl.clients.device import Device
from fl.clients.device_table import DEVICES
from fl.clients.devices import Devices, draw_devices
from fl.data.shards import GivenShards, Shard
from fl.execution.recipe import build_worker
from fl.methods import METHODS, install_method
from fl.methods.fedkseed.config import FedkseedConfig
from fl.methods.pfit.config import PfitConfig
from fl.methods.pwff.config import PolicyAlignment, PwffConfig
from fl.models.backbone import Backbone
from fl.models.classifier import TextClassifier, init_head
from fl.models.language import LanguageModel
from fl.models.probe import ModelFacts
from fl.models.tokens import TokenTable, tokenize_with
from fl.policies import RandomPolicyConfig
from fl.rewards.reward import Rewards
from fl.rows import (
    AnswerRow,
    ClientRow,
    EvaluationRow,
    PrivacyRow,
    QuestionRow,
    RewardRow,
    RoundRow,
    ScoreRow,
)
from fl.server.build import Settings, build_federation
from fl.server.config import SyncServer
from fl.server.cost_twin import TwinMaker
from fl.server.faults import FaultsConfig
from fl.training.batches import Examples
from fl.training.config import TrainingConfig
from fl.training.policy_settings import PolicySettings
from tests.fl.constant_network import ConstantRateNetwork

NUM_CLASSES = 3
NUM_CLIENTS = 10
MAX_TOKENS = 12
NUM_POSITIONS = MAX_TOKENS + 20  # room for virtual tokens
VOCABULARY_SIZE = 60
PURPOSES = (
    "cohort",
    "training",
    "method_init",
    "model_init",
    "device_class",
    "device_speed",
    "partition",
    "availability",
    "battery",
    "fault",
    "codec",
    "privacy",
    "evaluation",
    "mask",
)
POLICY = PolicySettings(max_new_tokens=5, prompts_per_step=2, num_completions=3)
SMALLEST = {kind: entry.config() for kind, entry in METHODS.items()} | {
    "fedkseed": FedkseedConfig(num_seeds=32, num_steps=4),
    "pfit": PfitConfig(num_blocks=1, policy=POLICY),
    "pwff": PwffConfig(alignment=PolicyAlignment(policy=POLICY)),
}


def task_of(config):
    """What a method is tried on where a test does not say: classes, unless it needs answers."""
    is_classifying = not config.find_problems(num_clients=NUM_CLIENTS, task="classification")
    return "classification" if is_classifying else "generation"


def module_for(kind):
    return classifier() if task_of(SMALLEST[kind]) == "classification" else language_model()


class FakeTokenizer:
    """Token 7 is the word w7."""

    eos_token_id = 0
    pad_token_id = 0

    def decode(self, tokens, *, skip_special_tokens=False):
        return " ".join(f"w{int(token)}" for token in tokens)


class ShareOfWords:
    """A reward: the share of an answer's words whose number is even, or odd."""

    memory_bytes = 4_000

    def __init__(self, remainder):
        self.remainder = remainder
        self.digest = f"share of words {remainder}"

    def scores(self, prompts, responses):
        words = [[int(word[1:]) for word in response.split()] for response in responses]
        return np.array(
            [np.mean([word % 2 == self.remainder for word in each] or [0.0]) for each in words]
        )

    def flop(self, *, num_texts, num_tokens):
        return 2_000 * num_texts * num_tokens


def rewards():
    return Rewards(helpfulness=ShareOfWords(0), safety=ShareOfWords(1))


@dataclass(frozen=True)
class FakeStreams:
    """Addressed randomness of tests."""

    seed: int

    def __call__(self, purpose, *key):
        address = (PURPOSES.index(purpose), *key)
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=address))

    def each(self, purpose, ids):
        return (self(purpose, each) for each in ids.tolist())


def streams(seed=7):
    return FakeStreams(seed)


def classifier(*, layers=2, hidden=32, seed=0):
    config = BertConfig(
        vocab_size=VOCABULARY_SIZE,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=2 * hidden,
        max_position_embeddings=NUM_POSITIONS,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        attn_implementation="eager",
    )
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        encoder = BertModel(config, add_pooling_layer=False)
        module = TextClassifier(
            encoder, num_classes=NUM_CLASSES, hidden_size=hidden, pooling="mean"
        )
    init_head(module, np.random.default_rng(seed))
    return module.eval()


def language_model(architecture="llama", *, layers=2, hidden=32, seed=0):
    if architecture == "llama":
        kind, config = (
            LlamaForCausalLM,
            LlamaConfig(
                vocab_size=VOCABULARY_SIZE,
                hidden_size=hidden,
                num_hidden_layers=layers,
                num_attention_heads=4,
                num_key_value_heads=2,
                intermediate_size=2 * hidden,
                max_position_embeddings=NUM_POSITIONS,
                attn_implementation="eager",
            ),
        )
    else:
        kind, config = (
            GPT2LMHeadModel,
            GPT2Config(
                vocab_size=VOCABULARY_SIZE,
                n_embd=hidden,
                n_layer=layers,
                n_head=4,
                n_positions=NUM_POSITIONS,
                resid_pdrop=0.0,
                embd_pdrop=0.0,
                attn_pdrop=0.0,
                bos_token_id=0,
                eos_token_id=0,
                attn_implementation="eager",
            ),
        )
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        causal = kind(config)
    return LanguageModel(causal).eval()


def roberta_base_on_meta():
    config = RobertaConfig(
        max_position_embeddings=514, type_vocab_size=1, attn_implementation="eager"
    )
    with torch.device("meta"):
        encoder = RobertaModel(config, add_pooling_layer=False)
    module = TextClassifier(encoder, num_classes=4, hidden_size=768, pooling="mean")
    return module.to("meta").eval()


def backbone(module=None):
    return Backbone(
        name="fake",
        module=classifier() if module is None else module,
        tokenizer=FakeTokenizer(),
        digest="fake",
        facts=ModelFacts(
            hidden_size=32,
            vocabulary_size=VOCABULARY_SIZE,
            num_positions=NUM_POSITIONS,
            num_token_types=2,
            is_causal=False,
        ),
        max_tokens=MAX_TOKENS,
        pad_token_id=0,
    )


def examples(num_texts, *, seed=0):
    """Texts of 4 to 12 tokens; three in four tokens come from the range of the text's class."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(NUM_CLASSES, size=num_texts)
    lengths = rng.integers(4, MAX_TOKENS + 1, size=num_texts)
    texts = []
    for label, length in zip(labels, lengths, strict=True):
        own = rng.integers(1 + 18 * label, 19 + 18 * label, size=length)
        texts.append(np.where(rng.random(length) < 0.75, own, rng.integers(1, 55, size=length)))
    tokens = TokenTable(
        ids=np.concatenate(texts).astype(np.int32),
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        pad_token_id=0,
    )
    return Examples(tokens=tokens, labels=labels.astype(np.int64))


def answers(num_texts, *, seed=0):
    """Prompts of 2 to 6 tokens whose answer, of 2 to 6 tokens, repeats the prompt's last one."""
    rng = np.random.default_rng(seed)
    starts = rng.integers(2, 7, size=num_texts)
    lengths = starts + rng.integers(2, 7, size=num_texts)
    texts = []
    for start, length in zip(starts, lengths, strict=True):
        prompt = rng.integers(1, 55, size=start)
        texts.append(np.concatenate([prompt, np.full(length - start, prompt[-1])]))
    tokens = TokenTable(
        ids=np.concatenate(texts).astype(np.int32),
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        pad_token_id=0,
        answer_starts=starts.astype(np.int32),
    )
    is_answer = np.concatenate(
        [np.arange(length) >= start for start, length in zip(starts, lengths, strict=True)]
    )
    worse = replace(tokens, ids=np.where(is_answer, tokens.ids % 54 + 1, tokens.ids))
    hashes = np.random.default_rng(seed + 1).permutation(num_texts).astype(np.uint64)
    labels = np.zeros(num_texts, dtype=np.int64)
    return Examples(tokens=tokens, labels=labels, rejected=worse, hashes=hashes)


def shards(num_clients, num_texts, *, seed=1):
    order = np.random.default_rng(seed).permutation(num_texts)
    parts = np.array_split(order, num_clients)
    return GivenShards(
        [Shard(train=part[: len(part) * 3 // 4], test=part[len(part) * 3 // 4 :]) for part in parts]
    )


def install(kind, module=None, *, seed=3):
    module = module_for(kind) if module is None else module
    generator = torch.Generator().manual_seed(seed)
    method = install_method(SMALLEST[kind], module, generator=generator, num_clients=NUM_CLIENTS)
    return method, module


@dataclass
class Rows:
    """Recorder that keeps everything."""

    rounds: list[RoundRow] = field(default_factory=list)
    clients: list[ClientRow] = field(default_factory=list)
    evaluations: list[EvaluationRow] = field(default_factory=list)
    of_scores: list[ScoreRow] = field(default_factory=list)
    of_rewards: list[RewardRow] = field(default_factory=list)
    of_answers: list[AnswerRow] = field(default_factory=list)
    of_questions: list[QuestionRow] = field(default_factory=list)
    of_privacy: list[PrivacyRow] = field(default_factory=list)

    def round(self, row, clients):
        self.rounds.append(row)
        self.clients.extend(clients)

    def unfinished(self, clients):
        self.clients.extend(clients)

    def evaluation(self, row):
        self.evaluations.append(row)

    def scores(self, rows):
        self.of_scores.extend(rows)

    def rewards(self, rows):
        self.of_rewards.extend(rows)

    def privacy(self, row):
        self.of_privacy.append(row)

    def questions(self, rows):
        self.of_questions.extend(rows)

    def answers(self, rows):
        self.of_answers.extend(rows)


def federation(
    config,
    *,
    num_clients=4,
    cohort=2,
    num_rounds=3,
    training=None,
    failing=None,
    devices=None,
    num_texts=160,
    task=None,
    module=None,
    cost_as=None,
    precision="fp32",
    throttling=None,
    mode=SyncServer,
    policy=None,
    availability=None,
    battery=None,
    faults=None,
    **server,
):
    is_classified = (task or task_of(config)) == "classification"
    training = training or TrainingConfig(local_steps=3, batch_size=8, learning_rate=5e-3)
    env = simpy.Environment()
    network = ConstantRateNetwork(
        env=env,
        uplink_rate_bps=1e6,
        downlink_rate_bps=4e6,
        transmit_w=0.5,
        receive_w=0.2,
        failing=failing or {},
    )
    shares = {"phone_mid": 0.5, "laptop": 0.5}
    clients = ClientsConfig(
        num_clients=num_clients, devices=shares, device_speed_sigma=0.0, precision=precision
    )
    drawn = draw_devices(clients, streams=streams())
    streamed = streams()
    worker = build_worker(
        config,
        backbone=backbone(module or (classifier() if is_classified else language_model())),
        train=examples(num_texts) if is_classified else answers(num_texts),
        test=examples(100, seed=9) if is_classified else answers(100, seed=9),
        training=training,
        streams=streamed,
        num_clients=num_clients,
        rewards=rewards() if config.uses_rewards else None,
        helpfulness_of=lambda client_id: client_id / num_clients,
    )
    policy = policy or RandomPolicyConfig(num_clients=cohort)
    twin = None
    if cost_as is not None:
        twin = TwinMaker().make(
            str(cost_as),
            config,
            num_classes=NUM_CLASSES,
            is_generation=not is_classified,
            pooling="mean",
            num_clients=num_clients,
            max_tokens=MAX_TOKENS,
        )
    return build_federation(
        Settings(
            method=config,
            training=training,
            server=mode(num_rounds=num_rounds, policy=policy, **server),
            precision=precision,
            throttling=throttling,
            availability=availability or AlwaysAvailable(),
            battery=battery,
            faults=faults or FaultsConfig(),
        ),
        env=env,
        network=network,
        streams=streamed,
        worker=worker,
        shards=shards(num_clients, num_texts),
        devices=drawn
        if devices is None
        else Devices.of(Device.of(DEVICES[name], precision=precision) for name in devices),
        recorder=Rows(),
        twin=twin,
    )


def tokenize(texts, backbone):
    return tokenize_with(
        backbone.tokenizer,
        texts,
        max_tokens=backbone.max_tokens,
        pad_token_id=backbone.pad_token_id,
    )
