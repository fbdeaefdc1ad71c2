"""Offsets per group of rows, and offsets that keep within a limit."""

import numpy as np
import pytest

from equipoise.errors import SettingsError
from equipoise.remedies.decisions.apply import decide, log_posterior, posterior
from equipoise.remedies.decisions.offsets import fit_measure_offsets, keep_limit
from equipoise.remedies.decisions.values import AlertLimit, evaluate
from equipoise.remedies.spec import parse_remedies

from .scored import FLAT, SHARES, fit, rows

GROUPS = np.array(["north", "south", "", "tiny"], dtype=object)


def two_sites(n=4000, seed=0):
    """Rows of two sites of which the second reads class b 2 nats too high."""
    logits, labels = rows(n, seed, pull=1.5)
    groups = GROUPS[np.random.default_rng(100 + seed).choice(4, n, p=[0.45, 0.45, 0.08, 0.02])]
    logits = logits + np.outer(groups == "south", [0, 2.0, 0])
    return logits, labels, groups


# ── per group ─────────────────────────────────────────────────────────────────────────────────


def test_a_group_that_is_read_otherwise_gets_offsets_of_its_own():
    logits, labels, groups = two_sites()
    rule = fit(["measure_offsets", "per_group_thresholds"], logits, labels, groups=groups)
    assert "south" in rule.group_offsets
    assert not {"", "tiny"} & set(rule.group_offsets)
    assert "groups have offsets of their own for macro_f1" in rule.notes[1]
    common = fit(["measure_offsets"], logits, labels)
    np.testing.assert_array_equal(rule.offsets, common.offsets)
    fresh, truth, theirs = two_sites(seed=1)
    p = posterior(rule, fresh)
    alone, grouped = decide(common, p), decide(rule, p, theirs)
    south = theirs == "south"
    value = [evaluate("macro_f1", truth[south], d[south], 3) for d in (alone, grouped)]
    assert value[1] > value[0] + 0.01
    # Unknown groups, rows without one and callers who do not say are decided by the common offsets.
    stranger = np.where(south, "west", theirs)
    np.testing.assert_array_equal(decide(rule, p, stranger)[south], alone[south])
    np.testing.assert_array_equal(decide(rule, p), alone)


def test_like_groups_share_the_common_offsets():
    logits, labels = rows(2000)
    groups = GROUPS[np.random.default_rng(100).choice(2, 2000)]
    rule = fit(["per_group_thresholds"], logits, labels, groups=groups, measure="accuracy")
    assert not rule.group_offsets
    assert rule.kind == "argmax"


def test_the_rule_knows_which_column_groups_are_in():
    logits, labels, groups = two_sites(1500)
    rule = fit(["per_group_thresholds:column=site"], logits, labels, groups=groups)
    assert rule.group_column == "site"


def test_what_offsets_per_group_need():
    logits, labels = rows(50)
    with pytest.raises(SettingsError, match="needs groups"):
        fit(["per_group_thresholds"], logits, labels)
    with pytest.raises(SettingsError, match="both decide"):
        parse_remedies(["per_group_thresholds", "costs"])
    limit = AlertLimit("recall_at_fpr", 0, 0.1, False)
    with pytest.raises(SettingsError, match="recall_at_fpr keeps a limit over all rows"):
        fit(["per_group_thresholds"], logits, labels, groups=logits[:, 0] > 0, measure=limit)
    empty = fit(["per_group_thresholds"], logits, labels, groups=np.full(50, "", dtype=object))
    assert not empty.group_offsets


# ── limits ────────────────────────────────────────────────────────────────────────────────────


def flagged(logits, labels, alert, start=None):
    log_p = log_posterior(fit([], logits, labels), logits)
    begin = np.zeros(3) if start is None else start
    offsets, note = keep_limit(log_p, labels, alert, begin, np.ones(len(labels)))
    assert note.startswith(f"offset for {alert.name}")
    return np.argmax(log_p + offsets, axis=1) == alert.of, offsets


@pytest.mark.parametrize("limit", [0.0005, 0.001, 0.02, 0.5, 0.999, 1.0])
def test_a_budget_is_used_up_and_kept(limit):
    logits, labels = rows(1000)
    found, offsets = flagged(logits, labels, AlertLimit("budget", 2, limit, True))
    assert found.sum() == int(limit * 1000)
    np.testing.assert_array_equal(offsets[:2], 0)


@pytest.mark.parametrize("limit", [0.0005, 0.01, 0.2])
def test_a_false_positive_rate_is_kept(limit):
    logits, labels = rows(2000)
    found, _ = flagged(logits, labels, AlertLimit("fpr", 1, limit, False))
    others = labels != 1
    assert found[others].sum() == int(limit * others.sum())
    # The class's own rows are free: all above the edge are caught.
    assert found[labels == 1].mean() > found[others].mean()


def test_a_budget_is_one_of_rows_that_have_the_stated_shares():
    logits, labels = rows(3000)
    alert = AlertLimit("budget", 2, 0.3, True)
    given = {"log_target": FLAT, "log_train": SHARES, "measure": alert}
    rule = fit(["measure_offsets"], logits, labels, **given)
    assert "counted by the shares that are stated" in rule.notes[-1]
    fresh, _ = rows(10_000, seed=1, shares=FLAT)
    flagged = decide(rule, posterior(rule, fresh - FLAT + SHARES)) == 2
    assert flagged.mean() == pytest.approx(0.3, abs=0.03)


def test_rows_that_tie_at_the_edge_are_left_out():
    logits = np.repeat(np.array([[0, 0, 3.0], [0, 0, 1.0], [0, 0, -4]]), [3, 4, 3], axis=0)
    labels = np.arange(10) % 3
    for limit, kept in ((3, 3), (5, 3), (6, 3), (7, 7), (2, 0), (10, 10)):
        found, _ = flagged(logits, labels, AlertLimit("ties", 2, limit / 10, True))
        assert found.sum() == kept, limit


def test_the_threshold_finder_keeps_limits_and_starts_from_what_was_set():
    logits, labels = rows(800)
    log_p = log_posterior(fit([], logits, labels), logits)
    alert = AlertLimit("recall_at_budget", 0, 0.1, True)
    start = np.array([0, 0.5, 1.0])
    arguments = (np.arange(800), np.random.default_rng(0))
    offsets, note = fit_measure_offsets(log_p, labels, alert, start, *arguments)
    np.testing.assert_array_equal(offsets[1:], start[1:])
    assert (np.argmax(log_p + offsets, axis=1) == 0).sum() == 80
    assert "80 of 800 rows" in note
    nothing, why = fit_measure_offsets(
        log_p[:0], labels[:0], alert, start, np.arange(0), np.random.default_rng(0)
    )
    np.testing.assert_array_equal(nothing, start)
    assert "no labelled rows" in why
