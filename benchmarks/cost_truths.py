"""Simulated sets whose posterior is known, and costs from mild to steep, for `costs.py`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.costs import CostTable
from equipoise.remedies.decisions.apply import log_softmax

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SCORES = ("calibrated", "too sure", "too unsure", "biased", "noisy")
FITTED, JUDGED = 500, 2000
"""Rows of a set that the rule is fitted on, and rows that it is judged on."""


@dataclass(frozen=True, eq=False)
class Simulated:
    classes: tuple[str, ...]
    logits: Floats
    labels: Ints
    truth: Floats
    """(n, K) the posterior that the labels were drawn from."""
    log_shares: Floats

    def take(self, part: slice) -> Simulated:
        return replace(
            self, logits=self.logits[part], labels=self.labels[part], truth=self.truth[part]
        )


def simulate(rng: np.random.Generator, scores: str) -> Simulated:
    """Rows of 2 to 12 lopsided classes, each class a bell in a feature of its own."""
    k = int(rng.integers(2, 13))
    shares = rng.permutation(np.exp(-np.linspace(0, rng.uniform(0, 5), k)))
    shares /= shares.sum()
    labels = rng.choice(k, FITTED + JUDGED, p=shares)
    pull = rng.uniform(0.8, 3.0)
    x = rng.normal(size=(len(labels), k))
    x[np.arange(len(labels)), labels] += pull
    true = pull * x + np.log(shares)
    said = {
        "calibrated": lambda: true,
        "too sure": lambda: 3 * true,
        "too unsure": lambda: 0.4 * true,
        "biased": lambda: true + rng.normal(size=k),
        "noisy": lambda: true + rng.normal(size=true.shape),
    }[scores]()
    return Simulated(
        tuple(f"c{j:02}" for j in range(k)), said, labels, np.exp(log_softmax(true)), np.log(shares)
    )


def matrices(rng: np.random.Generator, ratio: float, rows: Ints) -> Iterator[tuple[str, CostTable]]:
    """Costs whose dearest mistake is `ratio` times the cheapest; rows (K,): of each class."""
    k = len(rows)
    rare = np.minimum(ratio, rows.max() / np.maximum(rows, 1))
    spread = np.exp(rng.uniform(0, np.log(ratio), (k, k)))
    one = np.ones(k)
    one[rng.choice(np.flatnonzero(rows > 0))] = ratio
    for name, costs in (
        ("rare classes dear", np.tile(rare[:, None], k)),
        ("any pair", spread),
        ("one class dear", np.tile(one[:, None], k)),
    ):
        yield name, CostTable(costs * (1 - np.eye(k)))
    dear = np.tile(one[:, None] > 1, k) * (1.0 - np.eye(k))
    # A miss of the dear class costs its amount, of mean `ratio`; all other mistakes cost 1.
    yield "times an amount", CostTable((1 - np.eye(k)) - dear, dear, "amount")


def true_summary(units: list[dict[str, Any]]) -> dict[str, Any]:
    """By kind of scores: true cost of both decisions over that of the true posterior, medians; how
    often deciding by cost truly costs more than 1 % more than the most probable class; and how
    often the true difference lies below and above its interval."""
    found = {}
    for scores in SCORES:
        cases = [
            c
            for u in units
            if u["settings"].get("scores") == scores
            for c in u["result"]["cases"]
            if c["true_best"] > 0
        ]
        if cases:
            found[scores] = {
                "probable": round(
                    float(np.median([c["true_probable"] / c["true_best"] for c in cases])), 3
                ),
                "costs": round(
                    float(np.median([c["true_costs"] / c["true_best"] for c in cases])), 3
                ),
                "truly_dearer": sum(c["true_costs"] > 1.01 * c["true_probable"] for c in cases),
                "true_below_interval": sum(_true_gap(c) < c["low"] - 1e-3 for c in cases),
                "true_above_interval": sum(_true_gap(c) > c["high"] + 1e-3 for c in cases),
                "cases": len(cases),
            }
    return found


def _true_gap(case: dict[str, Any]) -> float:
    return float(case["true_costs"] - case["true_probable"])
