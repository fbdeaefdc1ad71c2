"""Measures by which users decide: read, worked by hand, with intervals that hold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from make_predictions import drawn, predictions
from scipy.special import expit
from scipy.stats import norm
from sklearn.metrics import precision_score, roc_curve

from equipoise.errors import SettingsError
from equipoise.evaluate.compare import compare
from equipoise.evaluate.deciding import (
    check_class,
    parse_measure,
    value_of,
)
from equipoise.evaluate.deciding_intervals import deciding_difference, deciding_estimate
from equipoise.evaluate.judge import judge
from equipoise.evaluate.outcomes import outcomes

SCORES = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05]
LABELS = [1, 0, 1, 1, 0, 0, 1, 0, 0, 0]
ALL = (
    "recall_at_budget:class=c2,budget=0.1",
    "recall_at_budget:class=c2,rows=30",
    "recall_at_fpr:class=c2,fpr=0.05",
    "precision_at_prevalence:class=c2,prevalence=0.01",
    "net_benefit:class=c2,threshold=0.3",
)


def scored(scores=SCORES, labels=LABELS, decided=None, clusters=None):
    """Rows of "fraud" or "fine" with these scores for fraud."""
    p = np.clip(np.asarray(scores, dtype=float), 1e-9, 1 - 1e-9)
    flags = p >= 0.5 if decided is None else np.asarray(decided)
    names = np.array(["fine", "fraud"])
    return predictions(
        names[np.asarray(labels)].tolist(),
        names[flags.astype(int)].tolist(),
        classes=("fine", "fraud"),
        probabilities=np.column_stack([1 - p, p]),
        clusters=clusters,
    )


def value(text, **kwargs):
    return value_of(outcomes(scored(**kwargs)), parse_measure(text))


# ── reading ───────────────────────────────────────────────────────────────────────────────────


def test_measures_are_read_in_any_order_and_written_in_one():
    short = "recall_at_budget:class=fraud,budget=0.02"
    for text in (short, "recall_at_budget:budget=0.02,class=fraud",
                 "recall_at_budget: class = fraud , budget = .02"):  # fmt: skip
        found = parse_measure(text)
        assert (found.text, found.of, found.limit) == (short, "fraud", 0.02)
    odd = parse_measure("net_benefit:class=a,b=c: d,threshold=0.5")
    assert odd.of == "a,b=c: d"
    assert parse_measure(odd.text) == odd


@given(name=st.text(min_size=1).filter(lambda t: t.strip() == t and t.strip(",") == t),
       limit=st.floats(0.001, 0.999))  # fmt: skip
def test_what_is_written_is_read_back(name, limit):
    text = f"recall_at_fpr:class={name},fpr={limit:.12g}"
    try:
        found = parse_measure(text)
    except SettingsError:
        assert "fpr" in name or "\n" in name
        return
    assert parse_measure(found.text) == found


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("recall_at_bugdet:class=a,budget=0.1", "did you mean recall_at_budget"),
        ("recall_at_budget", "expected recall_at_budget:class=NAME,budget=NUMBER or recall_at_bud"),
        ("recall_at_budget:class=a", "expected"),
        ("recall_at_budget:budget=0.1", "expected"),
        ("recall_at_budget:class=a,budget=0.1,rows=5", "expected"),
        ("recall_at_budget:class=a,rows=0", "a whole number from 1"),
        ("recall_at_budget:class=a,rows=2.5", "a whole number from 1"),
        ("recall_at_fpr:class=a,fpr=1", "above 0 and below 1"),
        ("net_benefit:class=a,threshold=much", "above 0 and below 1"),
        ("precision_at_prevalence:class=a,prevalence=nan", "above 0 and below 1"),
        ("python:my.f@0123456789ab", "give the function itself"),
    ],
)
def test_faults_of_a_text_are_told(text, says):
    with pytest.raises(SettingsError, match=says):
        parse_measure(text)


def test_an_unknown_class_is_told_with_near_ones():
    measure = parse_measure("net_benefit:class=fruad,threshold=0.5")
    assert check_class(measure, ("fine", "fraud"))[0].endswith(
        "no class 'fruad' in training; did you mean 'fraud'? they are fine, fraud"
    )
    with pytest.raises(SettingsError, match="did you mean 'fraud'"):
        value_of(outcomes(scored()), measure)
    assert check_class(parse_measure("net_benefit:class=fine,threshold=0.5"), ("fine",)) == []


# ── values ────────────────────────────────────────────────────────────────────────────────────


def test_values_by_hand():
    """Four frauds of ten rows, at ranks 1, 3, 4 and 7."""
    assert value("recall_at_budget:class=fraud,budget=0.1") == 1 / 4
    assert value("recall_at_budget:class=fraud,budget=0.3") == 2 / 4
    assert value("recall_at_budget:class=fraud,rows=4") == 3 / 4
    assert value("recall_at_budget:class=fraud,rows=400") == 1
    assert value("recall_at_budget:class=fraud,budget=0.35") == pytest.approx(2.5 / 4)
    # One of six others is rank 2: before it one fraud, up to the next other three.
    assert value("recall_at_fpr:class=fraud,fpr=0.01") == pytest.approx(1 / 4)
    assert value(f"recall_at_fpr:class=fraud,fpr={1 / 6 + 1e-9}") == pytest.approx(3 / 4)
    # Decided from 0.5: frauds at ranks 1, 3, 4; others at 2 and 5.
    r, f, q = 3 / 4, 2 / 6, 0.01
    assert value("precision_at_prevalence:class=fraud,prevalence=0.01") == pytest.approx(
        r * q / (r * q + f * (1 - q))
    )
    assert value("net_benefit:class=fraud,threshold=0.2") == pytest.approx(
        4 / 10 - 4 / 10 * 0.25  # from 0.2: ranks 1 to 8
    )


def test_ties_are_flagged_by_lot():
    tied = {"scores": [0.5] * 10}
    assert value("recall_at_budget:class=fraud,budget=0.3", **tied) == pytest.approx(0.3)
    assert value("recall_at_fpr:class=fraud,fpr=0.25", **tied) == pytest.approx(0.25)


def test_recall_at_fpr_lies_on_the_roc_curve():
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=400)
    scores = np.round(expit(rng.normal(size=400) + labels), 2)  # many ties
    fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    for at in (0.005, 0.01, 0.1, 0.33, 0.9):
        ours = value(f"recall_at_fpr:class=fraud,fpr={at}", scores=scores, labels=labels)
        assert ours == pytest.approx(np.interp(at, fpr, tpr), abs=1e-12)


def test_precision_at_the_prevalence_of_the_rows_is_precision():
    seen = drawn(500, seed=3)
    labels, decided = (x.tolist() for x in (seen.labels, seen.decided))
    share = labels.count("c1") / 500
    ours = value_of(
        outcomes(seen), parse_measure(f"precision_at_prevalence:class=c1,prevalence={share}")
    )
    theirs = precision_score(labels, decided, labels=["c1"], average="macro")
    assert ours == pytest.approx(theirs)


def test_net_benefit_of_flagging_all_is_that_of_the_paper():
    """Prevalence less (1 - prevalence) x odds."""
    labels = np.repeat([1, 0], [30, 70])
    found = value("net_benefit:class=fraud,threshold=0.1", scores=np.ones(100), labels=labels)
    assert found == pytest.approx(0.3 - 0.7 / 9)
    none = value("net_benefit:class=fraud,threshold=0.1", scores=np.zeros(100), labels=labels)
    assert none == 0


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 999), budget=st.floats(0.01, 0.98))
def test_more_room_never_catches_less(seed, budget):
    rng = np.random.default_rng(seed)
    rows = {"scores": np.round(rng.random(60), 1), "labels": rng.permutation([1] * 9 + [0] * 51)}
    for kind, name in (("recall_at_budget", "budget"), ("recall_at_fpr", "fpr")):
        small, large = (
            value(f"{kind}:class=fraud,{name}={at}", **rows) for at in (budget, budget + 0.01)
        )
        assert 0 <= small <= large <= 1


@pytest.mark.parametrize("text", ALL)
def test_the_order_of_rows_and_the_names_of_classes_play_no_part(text):
    seen = drawn(300, seed=1)
    turn = np.random.default_rng(0).permutation(300)
    measure = parse_measure(text)
    before = deciding_estimate(outcomes(seen), measure, seed=0, resamples=200)
    assert value_of(outcomes(seen.take(turn)), measure) == pytest.approx(before.value)
    names = {f"c{i}": f"x{3 - i}" for i in range(4)}
    renamed = predictions(
        [names[x] for x in seen.labels],
        [names[x] for x in seen.decided],
        probabilities=seen.probabilities[:, ::-1],
    )
    other = parse_measure(text.replace("c2", names["c2"]))
    after = deciding_estimate(outcomes(renamed), other, seed=0, resamples=200)
    assert after.to_json() == before.to_json()


def test_what_is_undefined_says_why():
    seen = scored(labels=[0] * 10)
    for text in (
        "recall_at_budget:class=fraud,budget=0.5",
        "net_benefit:class=fraud,threshold=0.5",
    ):
        found = deciding_estimate(outcomes(seen), parse_measure(text), seed=0, resamples=50)
        assert found.value is None
        assert found.why == "no row is of the class fraud"
    never = scored(decided=[False] * 10)
    text = "precision_at_prevalence:class=fraud,prevalence=0.1"
    found = deciding_estimate(outcomes(never), parse_measure(text), seed=0, resamples=50)
    assert found.why == "0/0: no row is decided as fraud"
    all_of_it = scored(labels=[1] * 10)  # some are decided as fraud
    found = deciding_estimate(outcomes(all_of_it), parse_measure(text), seed=0, resamples=50)
    assert found.why == "0/0: every row is of the class fraud"
    few = deciding_estimate(outcomes(scored()), parse_measure(text), seed=0, resamples=50)
    assert few.value is not None
    assert few.why.startswith("only 4 independent rows are of fraud")
    unseen = predictions(["a", "b", "z"] * 20, ["a", "b", "a"] * 20, classes=("a", "b", "z"))
    z = unseen.classes.index("z")
    blind = predictions(
        ["a", "b", "z"] * 20, ["a", "b", "a"] * 20, classes=("a", "b"),
        probabilities=np.delete(unseen.probabilities, z, axis=1),
    )  # fmt: skip
    text = "recall_at_budget:class=z,budget=0.1"
    found = deciding_estimate(outcomes(blind), parse_measure(text), seed=0, resamples=50)
    assert found.why == "z was never seen in training"


# ── intervals ─────────────────────────────────────────────────────────────────────────────────


def two_normals(rng, positives, others, apart=2.0):
    """Rows whose scores are the true posterior of two normal distributions `apart` from each
    other."""
    labels = np.repeat([1, 0], [positives, others])
    x = rng.normal(size=len(labels)) + apart * labels
    return expit(apart * x - apart**2 / 2 + np.log(positives / others)), labels


def true_value(measure, share, apart=2.0):
    at = np.linspace(-8, 12, 100_001)
    tpr, fpr = norm.sf(at - apart), norm.sf(at)
    if measure.kind == "recall_at_budget":
        return tpr[np.abs(share * tpr + (1 - share) * fpr - measure.limit).argmin()]
    if measure.kind == "recall_at_fpr":
        return tpr[np.abs(fpr - measure.limit).argmin()]
    limit = measure.limit if measure.kind == "net_benefit" else 0.5
    cut = (np.log(limit / (1 - limit)) - np.log(share / (1 - share)) + apart**2 / 2) / apart
    recall, rate = norm.sf(cut - apart), norm.sf(cut)
    if measure.kind == "net_benefit":
        return share * recall - (1 - share) * rate * limit / (1 - limit)
    return recall * measure.limit / (recall * measure.limit + rate * (1 - measure.limit))


@pytest.mark.parametrize(
    "text",
    [
        "recall_at_budget:class=fraud,budget=0.05",
        "recall_at_fpr:class=fraud,fpr=0.02",
        "precision_at_prevalence:class=fraud,prevalence=0.01",
        "net_benefit:class=fraud,threshold=0.2",
    ],
)
def test_intervals_hold_the_truth(text):
    """Promise 95 %; 150 splits with 8 to 60 rows of the class. Below 90 % would be a break of it
    by nearly three standard errors."""
    measure, rng, held = parse_measure(text), np.random.default_rng(0), []
    for positives, others in ((8, 400), (20, 400), (60, 600)):
        truth = true_value(measure, positives / (positives + others))
        for _ in range(50):
            scores, labels = two_normals(rng, positives, others)
            found = deciding_estimate(
                outcomes(scored(scores, labels)), measure, seed=0, resamples=150
            )
            if found.low is not None:
                held.append(found.low <= truth <= found.high)
    assert len(held) > 130
    assert np.mean(held) > 0.9


def test_copies_of_rows_make_an_interval_wider_not_narrower():
    rng = np.random.default_rng(0)
    scores, labels = two_normals(rng, 20, 200)
    times = 5
    for text in ALL:
        measure = parse_measure(text.replace("c2", "fraud"))
        alone = deciding_estimate(outcomes(scored(scores, labels)), measure, seed=0, resamples=400)
        copies = scored(
            np.repeat(scores, times), np.repeat(labels, times),
            clusters=np.repeat(np.arange(220), times),
        )  # fmt: skip
        if "rows=" in text:
            continue
        copied = deciding_estimate(outcomes(copies), measure, seed=0, resamples=400)
        assert copied.value == pytest.approx(alone.value)
        assert copied.high - copied.low == pytest.approx(alone.high - alone.low, rel=0.3)


@pytest.mark.parametrize("text", ALL)
def test_a_difference_is_nought_to_oneself_and_seen_where_it_is_large(text):
    measure = parse_measure(text)
    good, bad = drawn(600, skill=4.0, seed=2), drawn(600, skill=0.3, seed=2)
    same = deciding_difference((outcomes(good), outcomes(good)), measure, seed=0, resamples=300)
    assert same[2].value == 0
    assert same[2].low <= 0 <= same[2].high
    found = compare(bad, good, measure=text, resamples=300)
    assert found.measure == text
    assert found.difference.low > 0
    assert f"The second is better than the first by {text}" in found.says
    back = compare(good, bad, measure=measure, resamples=300)
    assert back.difference.value == pytest.approx(-found.difference.value)


def test_one_seed_one_estimate_and_the_judge_reports_it():
    seen = drawn(400)
    measure = parse_measure(ALL[0])
    first, second = (
        deciding_estimate(outcomes(seen), measure, seed=4, resamples=200) for _ in range(2)
    )
    assert first == second
    scores = judge(seen, split="test", deciding=measure, seed=4, resamples=200)
    assert scores.measures[ALL[0]] == first
    assert ALL[0] not in judge(seen, split="test", resamples=200).measures
