import pytest
import transformers

from fl.models import pretrain_decoder
from fl.models.pretrain_encoder import Recipe, build_encoder
from fl.models.pretrain_text import train_tokenizer

TEXTS = [
    "Return the sum of all elements along an axis.",
    "Plot the spectrum of a signal over time.",
    "Find the shortest path between two nodes of a graph.",
]
SMALL = Recipe(
    vocabulary_size=160, hidden_size=16, num_layers=2, num_heads=2, ffn_size=32, max_tokens=24
)
SMALL_DECODER = pretrain_decoder.Recipe(
    vocabulary_size=300, hidden_size=16, num_layers=2, num_heads=2, ffn_size=32, max_tokens=24
)


@pytest.fixture(scope="session")
def bert_folder(tmp_path_factory):
    """A BERT-type model of a few thousand parameters, saved as transformers saves one."""
    folder = tmp_path_factory.mktemp("bert")
    train_tokenizer(TEXTS, vocabulary_size=SMALL.vocabulary_size).save_pretrained(folder)
    build_encoder(SMALL, seed=3).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def llama_folder(tmp_path_factory):
    """A causal model of a few thousand parameters whose tokenizer has no padding token."""
    folder = tmp_path_factory.mktemp("llama")
    tokenizer = train_tokenizer(TEXTS, vocabulary_size=SMALL.vocabulary_size)
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer.backend_tokenizer, unk_token="[UNK]"
    ).save_pretrained(folder)
    settings = transformers.LlamaConfig(
        vocab_size=SMALL.vocabulary_size,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=24,
        attention_dropout=0.3,
    )
    transformers.LlamaForCausalLM(settings).save_pretrained(folder)
    return folder
