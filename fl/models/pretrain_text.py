"""Text to pretrain on: docstrings of the installed stack, none that anything is tested on."""

import string
from collections.abc import Sequence
from typing import NamedTuple

import tokenizers
import transformers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

from fl.cycle_collection import without_cycle_collection
from fl.data import harvest, prose
from fl.data.docstrings import CLASS_NAMES, is_held_out_text, is_test_text

SKIPPED_PLACES = frozenset({"models"})
"""Parts of ``transformers`` left out: near-copies of one another by the thousand."""
MIN_WORDS = 4
MAX_WORDS = 150
LETTERS = string.ascii_lowercase + string.digits
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WRITING_TOKENS = ("<pad>", "<s>", "</s>")


class Document(NamedTuple):
    """What may be read of one docstring."""

    signature: str
    """That of the function that the first paragraph sums up; empty where it sums up none."""
    paragraphs: tuple[str, ...]
    """Cleaned, at least one."""


def collect_documents() -> list[Document]:
    """Return docstrings as cleaned paragraphs, in order of package, path and line.

    A docstring whose summary is reserved for tests is left out as a whole; any other paragraph that
    equals a reserved text is left out too. Every paragraph occurs once.
    """
    seen: set[str] = set()
    documents: list[Document] = []
    with without_cycle_collection():
        for package in CLASS_NAMES:
            for source in harvest.read_docstrings(package):
                if SKIPPED_PLACES.isdisjoint(source.module.split(".")[1:2]):
                    document = _usable(source, seen)
                    if document.paragraphs:
                        documents.append(document)
    return documents


def is_reserved(text: str) -> bool:
    """Return whether a cleaned text is of the test fold or held out to test personal models."""
    return is_test_text(text) or is_held_out_text(text)


def _usable(source: harvest.SourceDocstring, seen: set[str]) -> Document:
    """Return what may be read of a docstring, no paragraph twice over all docstrings."""
    texts = [
        prose.clean(piece) for piece in prose.paragraphs(source.docstring) if prose.is_prose(piece)
    ]
    paragraphs: list[str] = []
    if texts and not is_reserved(texts[0]):
        paragraphs.extend(text for text in texts if _is_new(text, seen))
    has_summary = paragraphs[:1] == texts[:1]
    return Document(source.signature if has_summary else "", tuple(paragraphs))


def _is_new(text: str, seen: set[str]) -> bool:
    """Return whether a paragraph may be read and was not before; note that it is now."""
    key = text.casefold()
    if key in seen or not prose.is_readable(text, min_words=MIN_WORDS, max_words=MAX_WORDS):
        return False
    if is_reserved(text):
        return False
    seen.add(key)
    return True


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


def train_writing_tokenizer(
    texts: Sequence[str], *, vocabulary_size: int
) -> transformers.PreTrainedTokenizerFast:
    """Train a tokenizer of byte pairs, from whose tokens any text can be had back as it was.

    It puts ``<s>`` before a text that is read whole, and ``</s>`` after it.
    """
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=list(WRITING_TOKENS),
        # sorted: a set comes in another order in every process
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    begin, end = ((token, tokenizer.token_to_id(token)) for token in WRITING_TOKENS[1:])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin[0]} $A {end[0]}",
        pair=f"{begin[0]} $A {end[0]} $B {end[0]}",
        special_tokens=[begin, end],
    )
    return transformers.PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        pad_token=WRITING_TOKENS[0],
        bos_token=begin[0],
        eos_token=end[0],
        clean_up_tokenization_spaces=False,
    )
