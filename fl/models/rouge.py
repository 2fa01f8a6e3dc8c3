"""ROUGE-L of a written text against the true one, through torchmetrics."""

from functools import cache
from typing import Any


def rouge_l(written: str, true: str) -> float:
    """Return the F measure of the longest common subsequence of words, in [0, 1].

    Lin, ROUGE: A Package for Automatic Evaluation of Summaries (2004) [recollected], as
    torchmetrics computes it: lower case, letters and digits only, no stemming.
    """
    if not written.strip():
        return 0.0
    return float(_score()(written, true, rouge_keys="rougeL")["rougeL_fmeasure"])


@cache
def _score() -> Any:  # noqa: ANN401  torchmetrics is untyped here
    # A second to import, and only texts that are written need it.
    from torchmetrics.functional.text.rouge import rouge_score  # noqa: PLC0415

    return rouge_score
