"""What a base model makes of the rows: tokens, vectors, and a probe on the vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from equipoise.audit.given import TRAIN, Given, Ints
from equipoise.audit.neighbours import sample_rows
from equipoise.data.split import folds
from equipoise.errors import ModelError
from equipoise.fitting.clock import timed
from equipoise.fitting.language import LOOKED_AT, tells_places, token_facts
from equipoise.models.baselines import balanced_regression
from equipoise.models.cache import cache_settings
from equipoise.models.config import DEFAULT_MODEL, ModelConfig
from equipoise.models.load import Base, find_base
from equipoise.models.methods import build_classifier
from equipoise.models.save import default_device
from equipoise.models.states import ensure_states, pooled_vectors
from equipoise.models.tokenize import tokenize
from equipoise.progress import Progress
from equipoise.records.audit import Skipped
from equipoise.records.rows import Column, text_column

FOLDS = 5
MOST_FITTED = 10_000
"""Rows that one fold of the probe is fitted on, frequent classes thinned to one size: with 50
classes some seconds a fold, and a straight line between classes needs no more."""
PROBE_C = 0.01
"""Inverse strength of the L2 penalty on standardised vectors, a third of the baseline's: a probe
that is to doubt labels must not learn wrong ones by heart."""


def add_encoder(
    given: Given,
    model: str | None,
    seed: int,
    skipped: list[Skipped],
    capped: list[str],
    seconds: dict[str, float],
    progress: Progress,
) -> tuple[Given, str | None]:
    """`given` with tokens, vectors and probe, and the model's name; None where there is no model.

    Raises ModelError if a model was named that can't be loaded; without a name its absence is one
    more entry in `skipped`.
    """
    settings = ModelConfig(name=model or DEFAULT_MODEL, method="head")
    try:
        base = find_base(settings)
    except ModelError as error:
        if model is not None:
            raise
        needs = "suspected label errors, inseparable classes, truncation, language, vector drift"
        skipped.append(Skipped(what=needs, why=str(error)))
        return given, None
    with timed(seconds, "tokenizing"):
        given = with_tokens(given, base, seed, skipped, capped)
    with timed(seconds, "encoding"):
        given = replace(given, vectors=encode(given.texts, base, settings, progress))
    with timed(seconds, "probing"):
        training = np.flatnonzero(given.roles == TRAIN)
        probe = probe_scores(given, np.arange(len(given)), seed, capped, progress)
        # Advice must not rest on a judged label, so it has a probe of its own.
        own = (
            probe
            if len(training) == len(given)
            else probe_scores(given, training, seed, capped, progress)
        )
        if probe is None:
            skipped.append(
                Skipped(
                    what="suspected label errors and inseparable classes",
                    why="there are too few rows that stand apart to check each by others",
                )
            )
        given = replace(given, probe=probe, training_probe=own)
    return given, base.name


def add_tokens(
    given: Given, model: str | None, seed: int, skipped: list[Skipped], capped: list[str]
) -> tuple[Given, str | None]:
    """`given` with tokens alone, and the model's name; as `add_encoder` where there is no model."""
    try:
        base = find_base(ModelConfig(name=model or DEFAULT_MODEL, method="head"))
    except ModelError as error:
        if model is not None:
            raise
        skipped.append(Skipped(what="truncation and language", why=str(error)))
        return given, None
    return with_tokens(given, base, seed, skipped, capped), base.name


def add_written_tokens(
    given: Given,
    learned: Sequence[str],
    model: str,
    seed: int,
    skipped: list[Skipped],
    capped: list[str],
) -> tuple[Given, str]:
    """`given` with the tokens of a base that writes, without those of its chat template, and the
    model's name. Raises ModelError if it can't be loaded or can't write.

    learned  (n,) what the model learns of each row.
    """
    base = find_base(ModelConfig(name=model), writes=True, weights=False)
    given = with_tokens(given, base, seed, skipped, capped)
    nowhere = np.zeros(len(given), dtype=bool)
    facts = token_facts(text_column(list(learned)), base, nowhere)
    return replace(given, learned=facts.lengths), base.name


def with_tokens(
    given: Given, base: Base, seed: int, skipped: list[Skipped], capped: list[str]
) -> Given:
    """`given` with what the tokenizer makes of all rows and of the words of a sample (fast
    tokenizers only), and with the languages that the base declares."""
    looked = np.zeros(len(given), dtype=bool)
    if tells_places(base):
        looked[sample_rows(given.labels, LOOKED_AT, np.random.default_rng(seed))] = True
        if not looked.all():
            capped.append(f"language: {int(looked.sum()):,} of {len(given):,} rows")
    else:
        why = "the tokenizer does not say where in a text its tokens lie (it is no fast one)"
        skipped.append(Skipped(what="words broken up", why=why))
    return replace(given, tokens=token_facts(given.texts, base, looked), languages=base.languages)


def encode(
    texts: Column, base: Base, settings: ModelConfig, progress: Progress
) -> NDArray[np.float32]:
    """(n, d) pooled vectors of the untouched base, from the cache where it has them."""
    tokens = tokenize(texts, base.tokenizer, base.max_tokens)
    classifier, _ = build_classifier(base, settings, 2, 0)
    classifier.to(default_device())
    held = ensure_states(classifier, base, tokens, cache_settings(), progress=progress)
    if held is not None:
        return np.asarray(held.vectors, dtype=np.float32)
    return pooled_vectors(classifier, base, tokens, progress=progress)


def probe_scores(
    given: Given, rows: Ints, seed: int, capped: list[str], progress: Progress
) -> NDArray[np.float64] | None:
    """(n, K) log-probabilities of a balanced logistic regression on the vectors of `rows`.

    Each of them is scored by folds that left its cluster out; NaN for all other rows, and for
    classes that a fold had no row of. None where there are too few clusters or classes.
    """
    assert given.vectors is not None
    labels, clusters = given.labels[rows], given.clusters[rows]
    if len(np.unique(clusters)) < 2 * FOLDS or len(np.unique(labels)) < 2:
        return None
    fold = folds(labels.tolist(), clusters, FOLDS, seed)
    scores = np.full((len(given), len(given.classes)), np.nan)
    rng = np.random.default_rng(seed)
    for k in range(FOLDS):
        progress("probing", k, FOLDS)
        fitted, scored = rows[fold != k], rows[fold == k]
        kept = fitted[sample_rows(_codes(given.labels[fitted]), MOST_FITTED, rng)]
        scores[scored] = _fit(given, kept, scored, seed)
    progress("probing", FOLDS, FOLDS)
    if len(rows) * (FOLDS - 1) > MOST_FITTED * FOLDS:
        line = (
            f"probe: fitted on {MOST_FITTED:,} rows a fold, frequent classes thinned to one size; "
            "all rows were scored"
        )
        if line not in capped:
            capped.append(line)
    return scores


def _fit(given: Given, fitted: Ints, scored: Ints, seed: int) -> NDArray[np.float64]:
    assert given.vectors is not None
    if len(np.unique(given.labels[fitted])) < 2:
        return np.full((len(scored), len(given.classes)), np.nan)
    train, judged = standardised(given.vectors[fitted], given.vectors[scored])
    names = text_column([given.classes[k] for k in given.labels[fitted]])
    scores = balanced_regression(train, names, judged, given.classes, seed, PROBE_C)
    absent = np.setdiff1d(np.arange(len(given.classes)), given.labels[fitted])
    scores[:, absent] = np.nan
    return scores


def standardised(
    fitted: NDArray[np.float32], judged: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Both scaled to unit length, then by mean and spread of the coordinates of `fitted`, so that
    one penalty fits every encoder."""

    def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.where(length > 0, length, 1), dtype=np.float32)

    one, other = unit(fitted), unit(judged)
    mean, spread = one.mean(axis=0), one.std(axis=0)
    spread = np.where(spread > 1e-6, spread, np.float32(1))
    return (one - mean) / spread, (other - mean) / spread


def _codes(labels: Ints) -> Ints:
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)
