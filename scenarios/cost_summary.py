"""What ``validate`` says of costs that are a larger architecture's: both models side by side."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from scenarios.variants import Variant


def cost_facts(all_variants: Sequence[Variant]) -> list[dict[str, Any]]:
    """Count what each variant with ``model.cost_as`` trains, and what it is charged for.

    Returns
    -------
    list of dict
        By variant: ``variant``, ``model`` and ``cost_as`` by name, and ``trained`` and ``charged``
        with the fields of :class:`fl.server.federation.MethodFacts`.
    """
    found = []
    for variant in all_variants:
        model = variant.scenario.model
        if model.cost_as is None:
            continue
        from scenarios.check_learning import put_together  # noqa: PLC0415 -- loads torch

        federation = put_together(variant.scenario)
        found.append(
            {
                "variant": variant.name,
                "model": model.name,
                "cost_as": model.cost_as,
                "trained": dataclasses.asdict(federation.trained_facts()),
                "charged": dataclasses.asdict(federation.facts()),
            }
        )
    return found


def cost_lines(facts: Mapping[str, Any]) -> list[str]:
    """Return two lines of one of :func:`cost_facts`: the model that trains, and whose costs count.

    Examples
    --------
    >>> counted = {"num_trainable": 7, "upload_bytes": 100, "download_bytes": 100}
    >>> counted |= {"largest_step_flop": 2_000_000, "peak_memory_bytes": 5 * 10**8}
    >>> counted |= {"prefill_flop": 0, "num_decode_steps": 0}
    >>> facts = {"variant": "fedit", "model": "tiny", "cost_as": "gpt2"}
    >>> for line in cost_lines({**facts, "trained": counted, "charged": counted}):
    ...     print(line)
    fedit: trains tiny: 7 numbers, 100 B up, 100 B down, 0.002 GFLOP and 0.5 GB a step
    fedit: costs as gpt2: 7 numbers, 100 B up, 100 B down, 0.002 GFLOP and 0.5 GB a step
    """
    lines = []
    for words, part in (
        (f"trains {facts['model']}", facts["trained"]),
        (f"costs as {facts['cost_as']}", facts["charged"]),
    ):
        lines.append(
            f"{facts['variant']}: {words}: {part['num_trainable']} numbers, "
            f"{part['upload_bytes']} B up, {part['download_bytes']} B down, "
            f"{part['largest_step_flop'] / 1e9:.3g} GFLOP and "
            f"{part['peak_memory_bytes'] / 1e9:.3g} GB a step{_writing(part)}"
        )
    return lines


def _writing(part: Mapping[str, Any]) -> str:
    """Return what writing a batch takes; nothing where jobs write none."""
    if not (part["prefill_flop"] or part["num_decode_steps"]):
        return ""
    return (
        f"; writing takes {part['prefill_flop'] / 1e9:.3g} GFLOP and "
        f"{part['num_decode_steps']} decode steps of {part['decode_flop'] / 1e9:.3g} GFLOP and "
        f"{part['decode_bytes'] / 1e9:.3g} GB of memory traffic in all"
    )
