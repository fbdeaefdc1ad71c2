"""Rows to be written as the training loop takes them: lines of packed rows, and which tokens are
learned at which weight."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from equipoise.models.cache import CachedStates
from equipoise.models.feed import Batch
from equipoise.models.writing.config import Weigh
from equipoise.models.writing.sequences import Sequences
from equipoise.models.writing.template import Reads

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class WrittenFeed:
    """n rows, ready to become batches."""

    tokens: Sequences
    labels: Ints
    """(n,) category numbers."""
    weights: NDArray[np.float64]
    """(n,) what each row's losses are multiplied by; 1 on the mean of the rows fed."""
    states: CachedStates | None
    """States at the cut; None: the model computes everything from token ids."""
    pad_id: int = 0
    weigh: Weigh = "token"
    """Whether every learned token counts the same, every row, or every category."""
    packed: bool = True
    """Whether rows may share a line."""
    start_id: int = 0
    """What an encoder-decoder's answers start with."""

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def lengths(self) -> Ints:
        """(n,) tokens per row, read and written."""
        return self.tokens.lengths

    def take(self, index: Ints, factors: NDArray[np.float64]) -> WrittenFeed:
        """The rows at `index`, repeats allowed, their weights times `factors`."""
        return WrittenFeed(
            tokens=self.tokens.take(index),
            labels=self.labels[index],
            weights=self.weights[index] * factors,
            states=None if self.states is None else self.states.take(index),
            pad_id=self.pad_id,
            weigh=self.weigh,
            packed=self.packed,
            start_id=self.start_id,
        )

    def token_weights(self, rows: Ints) -> NDArray[np.float64]:
        """(rows,) what each learned token of a row counts.

        By row a row's tokens share its weight. By category the tokens of a category share what
        its rows weigh in all, every category's mean row weighing the same: 1.
        """
        weights = self.weights[rows]
        if self.weigh == "token":
            return weights
        learned = self.tokens.learned_lengths
        if self.weigh == "row":
            return weights / np.maximum(learned[rows], 1)
        share = np.bincount(self.labels, weights=self.weights * learned)
        equal = self.weights.sum() / max(np.count_nonzero(share), 1)
        factors = np.divide(equal, share, out=np.zeros_like(share), where=share > 0)
        return np.asarray(weights * factors[self.labels[rows]])

    def token_counts(self, rows: Ints) -> NDArray[np.float64]:
        """(rows,) what each learned token of a row counts in the step's divisor: 1, or where rows
        or categories are weighed its part of a row."""
        if self.weigh == "token":
            return np.ones(len(rows))
        return np.asarray(1 / np.maximum(self.tokens.learned_lengths[rows], 1))

    def batch(self, rows: Ints) -> Batch:
        """The model's inputs for `rows`; `labels`, `weights` and `counts` have an entry per learned
        token. No rows give one row of weight and count 0, as in `Feed`."""
        given = rows if len(rows) else np.zeros(1, dtype=np.int64)
        inputs, owner = self.laid_out(given)
        nothing = np.zeros(1)
        weights = self.token_weights(given) if len(rows) else nothing
        counts = self.token_counts(given) if len(rows) else nothing
        inputs["weights"] = torch.from_numpy(weights[owner])
        inputs["counts"] = torch.from_numpy(counts[owner])
        return inputs

    def laid_out(self, rows: Ints) -> tuple[Batch, Ints]:
        """Inputs and labels for `rows`, without weights; and (m,) which of `rows` owns each
        learned token."""
        if self.tokens.sources is not None:
            return self._two_parts(rows)
        lengths = self.lengths[rows]
        lines = pack(lengths) if self.packed else [np.array([k]) for k in range(len(rows))]
        width = max(int(lengths[line].sum()) for line in lines)
        ids = np.full((len(lines), width), self.pad_id, dtype=np.int64)
        positions = np.zeros_like(ids)
        mask = np.zeros_like(ids)
        places, labels, owner = [], [], []
        states = None
        if self.states is not None:
            wide = self.states.row(int(rows[0])).shape[1]
            states = np.zeros((len(lines), width, wide), dtype=np.float32)
        for number, line in enumerate(lines):
            at = 0
            for k in line:
                row = int(rows[k])
                own, n = self.tokens.row(row), int(lengths[k])
                ids[number, at : at + n] = own
                positions[number, at : at + n] = np.arange(n)
                mask[number, at : at + n] = 1
                if states is not None:
                    assert self.states is not None
                    states[number, at : at + n] = self.states.row(row)
                learned = np.flatnonzero(self.tokens.learned_in(row)[1:])
                places.append(number * width + at + learned)
                labels.append(own[learned + 1])
                owner.append(np.full(len(learned), k))
                at += n
            # Padding is a row of its own: it counts from 0 again, and nobody attends to it.
            positions[number, at:] = np.arange(width - at)
        inputs = {
            "input_ids": torch.from_numpy(ids),
            "places": torch.from_numpy(np.concatenate(places)),
            "labels": torch.from_numpy(np.concatenate(labels).astype(np.int64)),
        }
        if self.packed:
            inputs["position_ids"] = torch.from_numpy(positions)
        else:
            inputs["attention_mask"] = torch.from_numpy(mask)
        if states is not None:
            inputs["states"] = torch.from_numpy(states)
        return inputs, np.concatenate(owner)

    def _two_parts(self, rows: Ints) -> tuple[Batch, Ints]:
        """Of encoder-decoders: what is read apart from what is written, one row a line."""
        from equipoise.models.batches import padded

        assert self.tokens.sources is not None
        source, source_mask = padded(
            [self.tokens.sources.row(int(row)) for row in rows], fill=self.pad_id
        )
        own = [self.tokens.row(int(row)) for row in rows]
        shifted = [np.concatenate([[self.start_id], ids[:-1]]) for ids in own]
        ids, mask = padded(shifted, fill=self.pad_id)
        learned = [np.flatnonzero(self.tokens.learned_in(int(row))) for row in rows]
        width = ids.shape[1]
        return {
            "input_ids": torch.from_numpy(ids.astype(np.int64)),
            "attention_mask": torch.from_numpy(mask),
            "source_ids": torch.from_numpy(source.astype(np.int64)),
            "source_mask": torch.from_numpy(source_mask),
            "places": torch.from_numpy(
                np.concatenate([k * width + at for k, at in enumerate(learned)])
            ),
            "labels": torch.from_numpy(
                np.concatenate([i[at] for i, at in zip(own, learned, strict=True)]).astype(np.int64)
            ),
        }, np.repeat(np.arange(len(rows)), [len(at) for at in learned])


def bare_feed(tokens: Sequences, base: Reads, *, packs: bool) -> WrittenFeed:
    """Rows that are only read: of one category, each at weight 1."""
    start = getattr(base.config, "decoder_start_token_id", None)
    pad = base.tokenizer.pad_token_id or 0
    return WrittenFeed(
        tokens=tokens,
        labels=np.zeros(len(tokens), dtype=np.int64),
        weights=np.ones(len(tokens)),
        states=None,
        pad_id=pad,
        packed=packs,
        start_id=pad if start is None else start,
    )


def pack(lengths: Ints) -> list[Ints]:
    """Rows to lines no longer than the longest row, each row put where it leaves the least room
    (best fit, longest first): no line's attention is longer than a row's own has to be.

    >>> [line.tolist() for line in pack(np.array([2, 6, 3, 4]))]
    [[1], [3, 0], [2]]
    """
    limit = int(lengths.max(initial=1))
    lines: list[list[int]] = []
    room: list[int] = []
    for row in np.argsort(-lengths, kind="stable"):
        size = int(lengths[row])
        fits = [k for k, left in enumerate(room) if left >= size]
        if fits:
            best = min(fits, key=lambda k: room[k])
            lines[best].append(int(row))
            room[best] -= size
        else:
            lines.append([int(row)])
            room.append(limit - size)
    return [np.array(line) for line in lines]
