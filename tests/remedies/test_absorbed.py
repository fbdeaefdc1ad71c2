"""How much of what training was to move the shares by is measured to be in the scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from equipoise.remedies.decisions.absorbed import absorbed_source
from equipoise.remedies.decisions.apply import log_softmax, posterior
from equipoise.remedies.decisions.fit import fit_rule
from equipoise.remedies.prior import trained_correction
from equipoise.remedies.spec import parse_remedies

SHARES = np.array([0.9, 0.08, 0.02])
TRAIN, BALANCED = np.log(SHARES), np.full(3, -np.log(3))


def scored(n: int, part: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """n rows by SHARES, and scores that are a posterior under what lies so far from their shares
    towards balanced ones, up to a temperature of 2."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, size=n, p=SHARES)
    x = rng.normal(size=(n, 3))
    x[np.arange(n), labels] += 1  # log p(x | k) is x_k and what all classes share
    return 2 * (x + TRAIN + part * (BALANCED - TRAIN)), labels


def loss(logits: np.ndarray, labels: np.ndarray, source: np.ndarray, t: float) -> float:
    log_p = log_softmax(logits / t + TRAIN - source)
    return float(-log_p[np.arange(len(labels)), labels].mean())


@pytest.mark.parametrize("part", [0.0, 0.3, 1.0])
def test_the_part_is_found(part: float) -> None:
    logits, labels = scored(20_000, part)
    source, found = absorbed_source(logits, labels, np.ones(20_000), TRAIN, TRAIN, BALANCED)
    assert found == pytest.approx(part, abs=0.05)
    wanted = log_softmax((TRAIN + part * (BALANCED - TRAIN))[None])[0]
    np.testing.assert_allclose(source, wanted, atol=0.15)


def test_it_is_the_minimum_of_what_is_stated() -> None:
    logits, labels = scored(300, 0.4)
    weights = np.random.default_rng(1).uniform(0.5, 2, 300)
    _, found = absorbed_source(logits, labels, weights, TRAIN, TRAIN, BALANCED)

    def objective(part: float, log_t: float) -> float:
        shift = -part * (BALANCED - TRAIN)
        log_p = log_softmax(logits * np.exp(-log_t) + shift)[np.arange(300), labels]
        return float(-(weights * log_p).sum() + 0.5 * ((1 - part) ** 2 + log_t**2))

    grid = [(objective(a, t), a) for a in np.linspace(0, 1, 201) for t in np.linspace(0, 1.5, 151)]
    assert found == pytest.approx(min(grid)[1], abs=0.01)


@pytest.mark.parametrize(
    "given", [{"log_source": TRAIN}, {"n": 9}, {"weights": np.zeros(300)}], ids=str
)
def test_nothing_is_measured_where_nothing_can_be(given: dict[str, Any]) -> None:
    logits, labels = scored(given.get("n", 300), 0.0)
    source = given.get("log_source", BALANCED)
    weights = given.get("weights", np.ones(len(labels)))
    found, part = absorbed_source(logits, labels, weights, TRAIN, TRAIN, source)
    assert found is source
    assert part == 1


def test_a_rule_is_as_good_as_one_that_knows_and_decides_by_the_scores_as_trained() -> None:
    """A sampler that was to balance the classes, and did not."""
    logits, labels = scored(600, 0.0)
    new, truth = scored(20_000, 0.0, seed=1)
    fit: dict[str, Any] = {"classes": ("a", "b", "c"), "log_target": TRAIN, "log_train": TRAIN}
    specs = parse_remedies(["temperature"])
    start = trained_correction(BALANCED, TRAIN)
    rule = fit_rule(specs, logits, labels, log_source=BALANCED, start=start, **fit)
    knows = fit_rule(specs, logits, labels, log_source=TRAIN, **fit)

    def of(one: Any) -> float:
        return float(-np.log(posterior(one, new)[np.arange(20_000), truth]).mean())

    assert of(rule) < of(knows) + 0.01
    corrected_in_full = loss(new, truth, BALANCED, 2.0)
    assert of(rule) < corrected_in_full - 0.1
    decided = (np.log(posterior(rule, new)) + rule.offsets).argmax(axis=1)
    np.testing.assert_array_equal(decided, new.argmax(axis=1))
    assert "of what training was to move the class shares by" in rule.notes[0]


def test_shares_that_were_measured_are_not_measured_again() -> None:
    """On few rows tau_normalisation draws them towards the stated ones, which are far off here."""
    logits, labels = scored(60, 0.0)
    rule = fit_rule(
        parse_remedies(["tau_normalisation", "temperature"]),
        *(logits, labels),
        classes=("a", "b", "c"),
        log_source=BALANCED,
        log_target=TRAIN,
        log_train=TRAIN,
        head_norms=np.array([2.0, 1.0, 0.5]),
        head_bias=np.zeros(3),
    )
    assert "scores hold" not in " ".join(rule.notes)
