"""Codecs: payloads in fewer bytes. One table, one entry a codec.

A chain has at most one codec that leaves entries out, and after it at most one that writes numbers
in fewer bits. Codecs work on numpy arrays, so a scenario is checked without torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fl.codecs.bf16 import Bf16Codec
from fl.codecs.codec import Selection
from fl.codecs.fp16 import Fp16Codec
from fl.codecs.int4 import Int4Codec
from fl.codecs.int8 import Int8Codec
from fl.codecs.top_k import TopKCodec
from fl.problems import Problem

CodecConfig = Fp16Codec | Bf16Codec | Int8Codec | Int4Codec | TopKCodec
"""One step of a chain; told apart by ``kind``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecEntry:
    """One codec as the scenario and the command line see it."""

    config: type[Any]
    """Class of the codec, with its settings as fields."""
    summary: str
    source: str
    """Where the codec comes from."""


CODECS: dict[str, CodecEntry] = {
    "fp16": CodecEntry(
        config=Fp16Codec,
        summary="half precision, to the nearest: 2 bytes a number",
        source="IEEE 754 binary16",
    ),
    "bf16": CodecEntry(
        config=Bf16Codec,
        summary="upper half of single precision, to the nearest: 2 bytes a number",
        source="bfloat16",
    ),
    "int8": CodecEntry(
        config=Int8Codec,
        summary="255 levels, stochastic rounding: 1 byte a number, 4 a tensor",
        source="after QSGD, arXiv:1610.02132",
    ),
    "int4": CodecEntry(
        config=Int4Codec,
        summary="15 levels, stochastic rounding: half a byte a number, 4 bytes a tensor",
        source="after QSGD, arXiv:1610.02132",
    ),
    "top_k": CodecEntry(
        config=TopKCodec,
        summary="largest entries of each tensor and where they are; the rest is fed back",
        source="arXiv:1809.07599",
    ),
}
"""By the ``kind`` of the codec's settings."""


def selects(chain: Sequence[CodecConfig]) -> bool:
    """Return whether a chain leaves entries out."""
    return any(isinstance(each, Selection) for each in chain)


def find_problems(
    chain: Sequence[CodecConfig], *, is_of_changes: bool, path: tuple[str, ...]
) -> list[Problem]:
    """Find codecs that cannot follow each other, or that need changes where weights are sent.

    Parameters
    ----------
    chain
        In the order in which they are applied.
    is_of_changes
        Whether what is coded is the difference to tensors that both ends have.
    path
        Where the chain stands.
    """
    problems = []
    seen: list[str] = []
    has_numbers = False
    for index, each in enumerate(chain):
        place = (*path, str(index), "kind")
        if isinstance(each, Selection):
            if seen:
                rule = f"must come first and once, it comes after {seen[-1]}; got {each.kind}"
                problems.append(Problem(place, rule))
            if not is_of_changes:
                rule = (
                    f"codes changes, what is sent here is weights; int8 would do; got {each.kind}"
                )
                problems.append(Problem(place, rule))
        else:
            if has_numbers:
                rule = f"must be the only codec of numbers, it comes after {seen[-1]}"
                problems.append(Problem(place, f"{rule}; got {each.kind}"))
            has_numbers = True
        seen.append(each.kind)
    return problems
