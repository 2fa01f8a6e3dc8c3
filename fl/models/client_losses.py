"""Losses client by client where texts of several clients lie in one batch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import nn
from torch.nn import functional

from fl.models.batch import NO_LABEL, Batch
from fl.models.classifier import TextClassifier
from fl.models.language import LanguageModel


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientLosses:
    """What a pass gives for each client."""

    sums: Float[torch.Tensor, " client"]
    """Loss [nat] summed over its texts, or over the tokens of its answers; differentiable."""
    of_texts: Sequence[Float[np.ndarray, " text"]]
    """Loss [nat] of each of its texts, mean over the tokens of its answer; float64."""


def num_scored(
    module: TextClassifier | LanguageModel, batch: Batch, is_own: Bool[np.ndarray, "client text"]
) -> Int[np.ndarray, " client"]:
    """Return over how much a client's loss is the mean: its texts, or the tokens of its answers.

    Parameters
    ----------
    module
        Whether it classifies or writes decides.
    batch
        Texts client by client, as many rows for each.
    is_own
        Whether a text of a client counts; the others fill up.
    """
    if isinstance(module, TextClassifier):
        return is_own.sum(axis=1)
    tokens = (batch.labels[:, 1:] != NO_LABEL).sum(dim=1).cpu().numpy()
    counts: Int[np.ndarray, " client"] = (tokens.reshape(is_own.shape) * is_own).sum(axis=1)
    return counts


def client_losses(
    module: TextClassifier | LanguageModel, batch: Batch, is_own: Bool[np.ndarray, "client text"]
) -> ClientLosses:
    """Pass a batch once; arguments as :func:`num_scored`."""
    if isinstance(module, TextClassifier):
        return _of_classes(module, batch, is_own)
    return _of_answers(module, batch, is_own)


def _of_classes(
    module: TextClassifier, batch: Batch, is_own: Bool[np.ndarray, "client text"]
) -> ClientLosses:
    nats = functional.cross_entropy(module.scores(batch), batch.labels, reduction="none")
    nats = nats.view(is_own.shape)
    values = nats.detach().cpu().double().numpy()
    return ClientLosses(
        sums=_sums(nats, torch.from_numpy(is_own)),
        of_texts=[row[own] for row, own in zip(values, is_own, strict=True)],
    )


def _of_answers(
    module: LanguageModel, batch: Batch, is_own: Bool[np.ndarray, "client text"]
) -> ClientLosses:
    num_clients, size = is_own.shape
    wanted = batch.labels[:, 1:]
    is_asked = (wanted != NO_LABEL) & torch.from_numpy(is_own).to(wanted.device).view(-1, 1)
    found = [each.nonzero(as_tuple=True) for each in is_asked.view(num_clients, size, -1)]
    # As many places for each client: what fills up is the first place, and counts nothing.
    rows, columns = (
        nn.utils.rnn.pad_sequence([each[axis] for each in found], batch_first=True)
        for axis in (0, 1)
    )
    first_row = size * torch.arange(num_clients, device=rows.device).unsqueeze(1)
    places = ((rows + first_row).flatten(), columns.flatten())
    scores = module(batch.input_ids, batch.attention_mask, places)
    targets = wanted[places]
    nats = functional.cross_entropy(
        scores, torch.where(targets == NO_LABEL, 0, targets), reduction="none"
    ).view(num_clients, -1)
    counts = torch.tensor([len(each) for each, _ in found]).unsqueeze(1)
    values = nats.detach().cpu().double().numpy()
    of_texts = []
    for own, (of_client, _), each in zip(is_own, found, values, strict=True):
        texts = of_client.cpu().numpy()
        sums = np.bincount(texts, weights=each[: len(texts)], minlength=size)[own]
        with np.errstate(invalid="ignore"):  # a text without an answer: as alone
            of_texts.append(sums / np.bincount(texts, minlength=size)[own])
    return ClientLosses(sums=_sums(nats, torch.arange(nats.shape[1]) < counts), of_texts=of_texts)


def _sums(
    nats: Float[torch.Tensor, "client place"], is_own: Bool[torch.Tensor, "client place"]
) -> Float[torch.Tensor, " client"]:
    """Sum what counts: from the rest no gradient passes, not even one that is not finite."""
    return torch.where(is_own.to(nats.device), nats, 0.0).sum(dim=1)
