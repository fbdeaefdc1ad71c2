"""A function of the user's as the measure that decides."""

from functools import partial

import numpy as np
import pytest
from make_predictions import drawn
from sklearn.metrics import cohen_kappa_score, fbeta_score

from equipoise.errors import SettingsError
from equipoise.evaluate.compare import compare
from equipoise.evaluate.deciding import DecidingMeasure, own_measure, value_of
from equipoise.evaluate.deciding_intervals import deciding_estimate
from equipoise.evaluate.judge import judge
from equipoise.evaluate.outcomes import outcomes
from equipoise.fitting.measure import for_thresholds
from tests.evaluate.test_deciding import scored


def kappa(labels, decided):
    return cohen_kappa_score(labels, decided)


def sureness(labels, decided, *, probabilities):
    return probabilities.max(axis=1).mean()


def broken(labels, decided):
    raise RuntimeError("no such thing\nsecond line")


def test_a_function_is_known_by_its_place_and_source():
    found = own_measure(kappa)
    assert found.text.startswith(f"python:{kappa.__module__}.kappa@")
    assert own_measure(kappa) == found
    assert own_measure(sureness).wants_probabilities
    assert own_measure(cohen_kappa_score).text.startswith("python:sklearn.metrics.")
    source = {}
    exec("def kappa(labels, decided):\n    return 0.0", source)
    with pytest.raises(SettingsError, match="source of kappa can't be read"):
        own_measure(source["kappa"])


def test_functions_that_nothing_is_known_by_are_refused():
    beta = 2

    def held(labels, decided):
        return fbeta_score(labels, decided, beta=beta, average="macro")

    class Callable:
        def __call__(self, labels, decided):
            return 0.0

    for function, says in (
        (lambda labels, decided: 0.0, "a lambda has no name"),
        (held, "holds beta of the function around it"),
        (partial(kappa), "no plain Python function"),
        (Callable(), "no plain Python function"),
        (len, "no plain Python function"),
        (fbeta_score, "can't be called"),
        (test_functions_that_nothing_is_known_by_are_refused, "can't be called"),
    ):
        with pytest.raises(SettingsError, match=says):
            own_measure(function)


def test_a_function_of_ones_own_is_judged_and_compared():
    seen = drawn(500, k=3)
    measure = own_measure(kappa)
    found = deciding_estimate(outcomes(seen), measure, seed=0, resamples=100)
    assert found.value == pytest.approx(cohen_kappa_score(seen.labels, seen.decided))
    assert found.low < found.value < found.high
    assert found.method == "bootstrap"
    worse = drawn(500, k=3, skill=0.2)
    assert compare(worse, seen, measure=measure, resamples=50).difference.low > 0
    sure = own_measure(sureness)
    assert value_of(outcomes(seen), sure) == pytest.approx(seen.probabilities.max(axis=1).mean())
    few = deciding_estimate(outcomes(drawn(60, k=6)), measure, seed=0, resamples=50)
    assert few.low is None
    assert "fewer than 10 independent rows" in few.why


def likelihood_ratio(labels, decided):
    positive, flagged = labels == "fraud", decided == "fraud"
    with np.errstate(divide="ignore"):
        return np.divide((flagged & positive).sum(), (flagged & ~positive).sum())


def test_a_function_that_is_infinite_is_undefined_there():
    measure = own_measure(likelihood_ratio)
    labels = np.repeat([0, 1], [30, 15])
    perfect, once = labels == 1, (labels == 1) | (np.arange(45) == 0)
    seen = scored(scores=labels, labels=labels, decided=perfect)
    found = judge(seen, split="test", deciding=measure, resamples=50).measures[measure.text]
    assert (found.value, found.why) == (None, "the function returned inf")
    # The one false alarm is missing from a third of the resamples.
    other = scored(scores=labels, labels=labels, decided=once)
    found = judge(other, split="test", deciding=measure, resamples=50).measures[measure.text]
    assert found.value == 15
    assert (found.low, found.why) == (None, "infinite in too many resamples")
    apart = compare(seen, other, measure=measure, resamples=50)
    assert (apart.a, apart.b, apart.difference.why) == (None, 15, "the function returned inf")
    # A decision that makes it infinite is not the best of all.
    decide = for_thresholds(measure, ("fine", "fraud"), 45)
    assert decide(labels, perfect.astype(int), 0) == -np.inf
    # Where both are infinite in a resample they have no difference there.
    assert compare(other, other, measure=measure, resamples=50).difference.low == 0


def test_a_function_that_fails_is_the_users_to_mend():
    with pytest.raises(SettingsError, match=r"failed on 10 rows with RuntimeError: no such thing$"):
        value_of(outcomes(scored()), own_measure(broken))
    nothing = DecidingMeasure("python:x@0", "python", function=lambda labels, decided: np.nan)
    found = deciding_estimate(outcomes(scored()), nothing, seed=0, resamples=10)
    assert found.why == "the function returned NaN"
