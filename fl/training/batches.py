"""Which texts form which batch: a pure function of shard, settings and seed."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Int, UInt64

from fl.data.table import TextTable, prompt_hashes
from fl.models.backbone import Backbone
from fl.models.batch import Batch
from fl.models.tokens import TokenTable, tokenize_table

CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Texts as tokens, with their classes."""

    tokens: TokenTable
    labels: Int[np.ndarray, " text"]
    """Class of each text, int64; of no use where texts are prompts with answers."""
    rejected: TokenTable | None = None
    """The same prompts with a worse answer, row by row; ``None`` where there is none."""

    domains: Int[np.ndarray, " text"] | None = None
    """Natural domain of each text, int64; ``None`` where there is none."""
    hashes: UInt64[np.ndarray, " text"] | None = None
    """Hash of all that is read of each prompt, by which some of many are drawn; ``None`` where
    texts are classified."""
    device: torch.device = CPU
    """Where batches go, each at once."""

    @classmethod
    def of(cls, table: TextTable, backbone: Backbone) -> "Examples":
        """Turn a table into tokens with a model's own tokenizer.

        Raises
        ------
        ValueError
            As :func:`fl.models.tokens.tokenize_table`.
        """
        rejected = None
        if table.rejected is not None:
            worse = replace(table, responses=table.rejected)
            rejected = tokenize_table(worse, backbone)
        return cls(
            tokens=tokenize_table(table, backbone),
            labels=table.labels,
            rejected=rejected,
            domains=table.domains,
            hashes=None if table.responses is None else prompt_hashes(table),
        )

    def some(self, texts: Int[np.ndarray, " text"], *, most: int) -> Int[np.ndarray, " drawn_text"]:
        """Return at most so many of some prompts, the same for every model and seed.

        Parameters
        ----------
        texts
            Rows.
        most
            How many; more of them hold all that fewer would.

        Returns
        -------
        array
            All, as they came, if they are no more; else those of smallest hash, smallest first.

        Raises
        ------
        ValueError
            Texts are classified.
        """
        if len(texts) <= most:
            return texts
        if self.hashes is None:
            msg = "hashes: some prompts of many are drawn by their hashes, got None"
            raise ValueError(msg)
        return texts[np.lexsort((texts, self.hashes[texts]))[:most]]

    def batch(self, indices: Int[np.ndarray, " text"]) -> Batch:
        """Return some texts, padded to the longest of them."""
        input_ids, attention_mask = self.tokens.pad_batch(indices)
        is_classified = self.tokens.answer_starts is None
        batch = Batch(
            input_ids=input_ids,
            attention_mask=attention_mask,
            labels=(
                torch.from_numpy(self.labels[indices])
                if is_classified
                else self.tokens.pad_answers(indices)
            ),
            token_type_ids=self.tokens.pad_types(indices),
        )
        return batch.to(self.device)


def plan_batches(
    samples: Int[np.ndarray, " text"],
    *,
    batch_size: int,
    local_steps: int | None,
    local_epochs: int | None,
    seed: int,
) -> list[Int[np.ndarray, " text"]]:
    """Lay out the batches of a job: shuffled anew for every pass, no text twice in a batch.

    By steps, passes follow one another without a break until the steps are full; by epochs, the
    last batch of a pass may be smaller.

    Parameters
    ----------
    samples
        Texts of the shard, at least one.
    batch_size
        Texts a batch; a shard that is smaller makes smaller batches.
    local_steps, local_epochs
        Length of the job; exactly one is given.
    seed
        Decides the order.

    Raises
    ------
    ValueError
        If there is no text, or both or neither length is given.
    """
    if len(samples) == 0:
        msg = "samples: a job needs at least 1 text, got 0"
        raise ValueError(msg)
    if (local_steps is None) == (local_epochs is None):
        msg = f"local_steps, local_epochs: give exactly one, got {local_steps} and {local_epochs}"
        raise ValueError(msg)
    rng = np.random.default_rng(seed)
    size = min(batch_size, len(samples))
    if local_epochs is not None:
        passes = [rng.permutation(samples) for _ in range(local_epochs)]
        return [order[at : at + size] for order in passes for at in range(0, len(order), size)]
    return _dealt_batches(samples, size=size, num_batches=local_steps or 0, rng=rng)


def _dealt_batches(
    samples: Int[np.ndarray, " text"], *, size: int, num_batches: int, rng: np.random.Generator
) -> list[Int[np.ndarray, " text"]]:
    """Deal batches from one pass after another; a batch over the seam holds no text twice."""
    num_samples = len(samples)
    passes = [rng.permutation(samples)]
    for num_dealt in range(num_samples, num_batches * size, num_samples):
        fresh, num_waiting = rng.permutation(samples), num_dealt % size
        if num_waiting:
            # Texts that wait for the next batch go to the back of the new pass.
            waiting = set(passes[-1][num_samples - num_waiting :].tolist())
            later = sorted(fresh.tolist(), key=waiting.__contains__)
            fresh = np.array(later, dtype=samples.dtype)
        passes.append(fresh)
    order = np.concatenate(passes)
    return [order[at : at + size] for at in range(0, num_batches * size, size)]
