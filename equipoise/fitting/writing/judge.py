"""How likely the right texts of the judged rows are to a writer, and what it writes for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.evaluate.texts import judge_texts
from equipoise.fitting.prepared import Prepared
from equipoise.fitting.writing.arm import feed_of
from equipoise.models.writing.config import DecodeConfig
from equipoise.models.writing.decode import write_texts
from equipoise.models.writing.outputs import row_log_probs
from equipoise.models.writing.save import LoadedWriter
from equipoise.models.writing.sequences import Sequences
from equipoise.models.writing.sizes import learned_bytes
from equipoise.models.writing.template import Reads, asked_tokens
from equipoise.progress import Progress
from equipoise.records.rows import Column, Rows, text_column
from equipoise.records.scores import Scores
from equipoise.records.turns import answer, asked_text
from equipoise.records.written import Written, joined

Floats = NDArray[np.float64]
_SPREAD = 6
"""The stream of the seed by which rows to be written are drawn."""


def quick_written(prepared: Prepared) -> Callable[[Floats], dict[str, float]]:
    """A function from what `row_log_probs` gives of the validation rows to the loss in nats a
    token, over all of them and as the mean over categories: what training looks at after every
    epoch."""
    labels = prepared.labels["validation"]

    def measure(found: Floats) -> dict[str, float]:
        nats, tokens = -found[:, 0], found[:, 1]
        by = [
            nats[labels == k].sum() / max(tokens[labels == k].sum(), 1) for k in np.unique(labels)
        ]
        return {"loss": nats.sum() / max(tokens.sum(), 1), "macro_loss": float(np.mean(by))}

    return measure


def written_by(
    prepared: Prepared, loaded: LoadedWriter, *, kept: Path | None, progress: Progress
) -> tuple[Written, list[str]]:
    """The record of validation and test rows: the right texts' log-probabilities of all, and what
    is written for `decode_rows` of the judged ones; and notes on what could not be read whole."""
    parts: list[Written] = []
    notes: list[str] = []
    for split in ("validation", "test"):
        if split not in prepared.tokens:
            continue
        rows = prepared.rows(split)
        assert rows.labels is not None
        tokens = prepared.tokens[split]
        assert isinstance(tokens, Sequences)
        found = row_log_probs(loaded.module, feed_of(prepared, split, None, loaded.packs))
        written = text_column([None] * len(rows))
        if split == prepared.judged:
            written, notes = written_for(
                rows,
                spread(rows.labels, prepared.recipe.write.decode_rows, seed=prepared.seed),
                loaded,
                prepared.base,
                prepared.recipe.write.decode,
                seed=prepared.seed,
                kept=kept,
                progress=progress,
            )
        parts.append(record_of(rows, split, written, found, tokens, loaded))
    return joined(parts), notes


def spread(categories: Column, wanted: int, *, seed: int) -> NDArray[np.int64]:
    """(m,) at most `wanted` row numbers, sorted: rows of every category in turn, drawn by the seed,
    so that a rare category is there with as many rows as it has.

    Within a category every row is as likely as any other, one that repeats another too: what is
    drawn holds repeats as its category does, so that its mean is that of the category.

    >>> chosen = spread(np.array(["a", "a", "a", "a", "b", "a"]), 3, seed=0)
    >>> len(chosen), 4 in chosen
    (3, True)
    """
    mixed = np.random.default_rng([seed, _SPREAD]).permutation(len(categories))
    numbers = np.unique(categories[mixed], return_inverse=True)[1]
    by_category = np.argsort(numbers, kind="stable")
    turn = np.empty(len(mixed), dtype=np.int64)
    turn[by_category] = np.concatenate([np.arange(0), *map(np.arange, np.bincount(numbers))])
    return np.sort(mixed[np.argsort(turn, kind="stable")[:wanted]])


def scores_of(
    prepared: Prepared, written: Written, split: str, notes: Sequence[str] = ()
) -> Scores:
    """notes  To be said beside those of the scores."""
    scores = judge_texts(
        written,
        split=split,
        trained_counts=prepared.splits.train.counts(),
        pattern=prepared.recipe.write.pattern,
        tokenize=prepared.recipe.write.tokenize,
        seed=prepared.seed,
    )
    return replace(scores, notes=(*notes, *scores.notes))


def written_for(
    rows: Rows,
    chosen: NDArray[np.int64],
    loaded: LoadedWriter,
    base: Reads,
    config: DecodeConfig,
    *,
    seed: int,
    kept: Path | None,
    progress: Progress,
) -> tuple[Column, list[str]]:
    """(n,) what is written for the rows at `chosen`, None for the others; and a note if some of
    them were too long to be read whole."""
    assert rows.turns is not None
    written = text_column([None] * len(rows))
    notes = []
    if len(chosen):
        tokens = asked_tokens(rows.turns[chosen], base, new_tokens=config.new_tokens)
        if tokens.truncated:
            notes.append(_cut_note(tokens.truncated, len(chosen), base, config))
        asked = [tokens.row(row) for row in range(len(tokens))]
        texts = write_texts(loaded, asked, config, seed=seed, kept=kept, progress=progress)
        for row, text in zip(chosen, texts, strict=True):
            written[row] = text
    return written, notes


def _cut_note(cut: int, of: int, base: Reads, config: DecodeConfig) -> str:
    said = (
        f"{cut:,} of {of:,} rows that were written lost the beginning of what is asked, which did "
        "not fit into the window"
    )
    if base.two_parts:
        return f"{said} of {base.max_tokens:,} tokens"
    return (
        f"{said} beside {config.new_tokens:,} new tokens; take fewer (write.decode.new_tokens), or "
        "ask for less"
    )


def record_of(
    rows: Rows, split: str, written: Column, found: Floats, tokens: Sequences, loaded: LoadedWriter
) -> Written:
    """found   (n, 2) as of `row_log_probs`.
    tokens  The rows' own, as they were read for it."""
    assert rows.turns is not None
    assert rows.labels is not None
    n = len(rows)
    references: Any = rows.references
    if references is None:
        references = text_column([(answer(turns) or "",) for turns in rows.turns])
    return Written(
        ids=rows.ids,
        splits=text_column([split] * n),
        categories=rows.labels,
        asked=text_column([asked_text(turns) for turns in rows.turns]),
        written=written,
        references=references,
        log_probs=found[:, 0],
        tokens=found[:, 1].astype(np.int64),
        bytes=learned_bytes(rows.turns, tokens, loaded.tokenizer, thinks=loaded.thinks),
        clusters=np.arange(n, dtype=np.int64) if rows.clusters is None else rows.clusters,
    )
