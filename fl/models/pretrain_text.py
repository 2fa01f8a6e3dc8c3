"""Text to pretrain on: docstrings of the installed stack, none that anything is tested on."""

import string
from collections.abc import Iterator, Sequence

import tokenizers
import transformers
from tokenizers import models, normalizers, pre_tokenizers, processors, trainers

from fl.data import harvest, prose
from fl.data.docstrings import CLASS_NAMES, is_held_out_text, is_test_text

SKIPPED_PLACES = frozenset({"models"})
"""Parts of ``transformers`` left out: near-copies of one another by the thousand."""
MIN_WORDS = 4
MAX_WORDS = 150
LETTERS = string.ascii_lowercase + string.digits
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def collect_documents() -> list[tuple[str, ...]]:
    """Give docstrings as tuples of cleaned paragraphs, in order of package, path and line.

    A docstring whose summary is reserved for tests is left out as a whole; any other paragraph that
    equals a reserved text is left out too. Every paragraph occurs once.
    """
    seen: set[str] = set()
    documents: list[tuple[str, ...]] = []
    with harvest.without_cycle_collection():
        for package in CLASS_NAMES:
            for source in harvest.read_docstrings(package):
                if SKIPPED_PLACES.isdisjoint(source.module.split(".")[1:2]):
                    document = tuple(_usable(source.docstring, seen))
                    if document:
                        documents.append(document)
    return documents


def is_reserved(text: str) -> bool:
    """Tell whether a cleaned text is of the test fold or held out for the clients' own tests."""
    return is_test_text(text) or is_held_out_text(text)


def _usable(docstring: str, seen: set[str]) -> Iterator[str]:
    """Give the paragraphs of a docstring that may be read, none twice over all docstrings."""
    texts = [prose.clean(piece) for piece in prose.paragraphs(docstring) if prose.is_prose(piece)]
    if texts and is_reserved(texts[0]):
        return
    for text in texts:
        key = text.casefold()
        if key in seen or not prose.is_readable(text, min_words=MIN_WORDS, max_words=MAX_WORDS):
            continue
        if not is_reserved(text):
            seen.add(key)
            yield text


def train_tokenizer(
    texts: Sequence[str], *, vocabulary_size: int
) -> transformers.PreTrainedTokenizerFast:
    """Train a lower-case WordPiece tokenizer that puts [CLS] before and [SEP] after a text.

    The trainer numbers single characters in the order of a hash map, which differs from run to
    run, and breaks ties between merges by these numbers. Handing it the characters as special
    tokens fixes their numbers and so the whole vocabulary.
    """
    characters = [*string.punctuation, *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    draft = _empty_tokenizer(models.WordPiece(unk_token="[UNK]"))
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocabulary_size,
        special_tokens=[*SPECIAL_TOKENS, *characters],
        show_progress=False,
    )
    draft.train_from_iterator(texts, trainer)
    vocabulary = draft.get_vocab(with_added_tokens=True)
    tokenizer = _empty_tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.post_processor = processors.BertProcessing(
        ("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"])
    )
    return transformers.PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


def _empty_tokenizer(model: models.WordPiece) -> tokenizers.Tokenizer:
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer
