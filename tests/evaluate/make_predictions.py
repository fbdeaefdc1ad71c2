"""Small predictions typed in tests, or drawn."""

from __future__ import annotations

import numpy as np
from scipy.special import softmax

from equipoise.records.predictions import Predictions
from equipoise.records.rows import text_column


def predictions(labels, decided, *, classes=None, probabilities=None, clusters=None, split="test"):
    """Predictions of the given labels and decisions; without probabilities, 0.8 for the decision
    and the rest shared."""
    n = len(labels)
    names = tuple(sorted(classes or {d for d in decided if d != "defer"} | set(labels)))
    if probabilities is None:
        probabilities = np.full((n, len(names)), 0.2 / (len(names) - 1))
        for i, d in enumerate(decided):
            if d in names:
                probabilities[i, names.index(d)] = 0.8
            else:
                probabilities[i] = 1 / len(names)
    return Predictions(
        classes=names,
        ids=text_column([f"r{i}" for i in range(n)]),
        splits=text_column([split] * n),
        folds=np.full(n, -1),
        groups=text_column([None] * n),
        clusters=np.arange(n) if clusters is None else np.asarray(clusters),
        labels=text_column(list(labels)),
        decided=text_column(list(decided)),
        logits=np.log(probabilities),
        probabilities=probabilities,
    )


def drawn(n=300, k=4, *, skill=2.0, seed=0, clusters=None):
    """Rows of k lopsided classes, scored by a model of the given skill; every class has rows."""
    rng = np.random.default_rng(seed)
    names = [f"c{i}" for i in range(k)]
    share = 1 / np.arange(1, k + 1)
    labels = np.concatenate([np.arange(k), rng.choice(k, n - k, p=share / share.sum())])
    z = rng.normal(size=(n, k))
    z[np.arange(n), labels] += skill
    p = softmax(z, axis=1)
    return predictions(
        [names[i] for i in labels],
        [names[i] for i in p.argmax(axis=1)],
        classes=names,
        probabilities=p,
        clusters=clusters,
    )
