"""What a writer says of rows: how likely it holds the right texts, and their vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from equipoise.models.batches import length_batches
from equipoise.models.load import Base
from equipoise.models.memory import in_halves
from equipoise.models.states import Progress, pooled_vectors
from equipoise.models.writing.feed import WrittenFeed
from equipoise.models.writing.sequences import Sequences
from equipoise.models.writing.writer import Writer

_ROWS, _TOKENS = 64, 8_192


@torch.no_grad()
def row_log_probs(model: nn.Module, feed: WrittenFeed) -> NDArray[np.float64]:
    """(n, 2): of every row the sum of the log-probabilities of its learned tokens, in nats, and
    how many these are; in evaluation mode and full precision, in the feed's order."""
    was_training = model.training
    model.eval()
    # As in `predict_feed`: below what mixed precision puts over it.
    forward: Any = getattr(model, "_original_forward", model)
    device = next(model.parameters()).device

    def log_probs(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        batch, owner = feed.laid_out(rows)
        labels = batch.pop("labels")
        scores = forward(**{name: value.to(device) for name, value in batch.items()})
        losses = F.cross_entropy(scores.float(), labels.to(device), reduction="none")
        sums = np.bincount(owner, losses.double().cpu().numpy(), minlength=len(rows))
        return np.stack([-sums, np.bincount(owner, minlength=len(rows))], axis=1)

    out = np.zeros((len(feed), 2))
    for rows in length_batches(feed.lengths, rows=_ROWS, tokens=_TOKENS):
        out[rows] = np.concatenate(in_halves(rows, log_probs))
    model.train(was_training)
    return out


def base_vectors(
    writer: Writer, base: Base, tokens: Sequences, *, progress: Progress | None = None
) -> NDArray[np.float32]:
    """(n, width) pooled states of each row by the base as it came: of a decoder over the whole row,
    of an encoder-decoder over what it reads."""
    read = tokens if tokens.sources is None else tokens.sources
    with writer.as_it_came():
        return pooled_vectors(writer, base, read, progress=progress)
