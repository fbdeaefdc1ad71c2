"""Scores whose true posterior is known, for the tests of decisions."""

from __future__ import annotations

import numpy as np

from equipoise.remedies.decisions.apply import decide, posterior
from equipoise.remedies.decisions.fit import fit_rule
from equipoise.remedies.spec import parse_remedy

SHARES = np.log(np.array([0.8, 0.15, 0.05]))
FLAT = np.log(np.full(3, 1 / 3))
NAMES = ("a", "b", "c")


def rows(n, seed=0, shares=SHARES, pull=2.0):
    """Labels, and logits whose softmax is the true posterior under `shares`: class k adds `pull` to
    the mean of its own unit-variance feature, so the log-likelihood ratio is pull * x."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(len(shares), n, p=np.exp(shares))
    x = rng.normal(size=(n, len(shares)))
    x[np.arange(n), labels] += pull
    return pull * x + shares, labels


def fit(texts, logits, labels, **kwargs):
    kwargs = {"log_source": SHARES, "log_target": SHARES, "classes": NAMES} | kwargs
    return fit_rule([parse_remedy(t) for t in texts], logits, labels, **kwargs)


def decided(rule, logits):
    return decide(rule, posterior(rule, logits))
