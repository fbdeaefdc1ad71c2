"""Samplers between natural and balanced, balance over groups, and weights per row."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.errors import SettingsError
from equipoise.models.batches import plan_steps
from equipoise.remedies.batches import build_order, build_row_weights, in_effect, strata
from equipoise.remedies.batches.account import row_weights_effect
from equipoise.remedies.batches.groups import cells, group_balanced_order
from equipoise.remedies.batches.row_weights import cluster_weights, cost_weights, group_weights
from equipoise.remedies.batches.shares import (
    plentiful_first_order,
    power_order,
    progressive_order,
    temperature_order,
)
from equipoise.remedies.prior import drawn_counts
from equipoise.remedies.source import log_source
from equipoise.remedies.spec import parse_remedies, parse_remedy

LABELS = np.random.default_rng(1).permutation(np.repeat([0, 1, 2], [400, 100, 4]))


def counts_of(order, labels=LABELS, classes=3):
    return np.array([np.bincount(labels[epoch], minlength=classes) for epoch in order])


# ── by shares ─────────────────────────────────────────────────────────────────────────────────


def test_square_roots_by_hand():
    """Roots of 400, 100 and 4 are 20, 10 and 2: of 320 places 200, 100 and 20."""
    order = power_order(LABELS, 3, 4, np.random.default_rng(0), epoch_rows=320)
    assert (counts_of(order) == [200, 100, 20]).all()


def test_the_ends_are_natural_and_balanced():
    natural = power_order(LABELS, 3, 3, np.random.default_rng(0), power=1.0)
    assert (np.sort(natural, axis=1) == np.arange(504)).all()
    balanced = power_order(LABELS, 3, 3, np.random.default_rng(0), power=0.0)
    assert (counts_of(balanced) == 168).all()


def test_a_curriculum_by_hand():
    """From 400, 100 and 4 of 504 in equal steps to 168 each."""
    order = progressive_order(LABELS, 3, 5, np.random.default_rng(0))
    assert (
        counts_of(order)
        == [[400, 100, 4], [342, 117, 45], [284, 134, 86], [226, 151, 127], [168] * 3]
    ).all()
    assert (np.sort(order[0]) == np.arange(504)).all()
    stated = progressive_order(LABELS, 3, 5, np.random.default_rng(0), over=2)
    assert (counts_of(stated)[:3] == [[400, 100, 4], [168] * 3, [168] * 3]).all()
    alone = progressive_order(LABELS, 3, 1, np.random.default_rng(0))
    assert (np.sort(alone[0]) == np.arange(504)).all()
    assert (
        counts_of(progressive_order(LABELS, 3, 1, np.random.default_rng(0), over=1)) == 168
    ).all()


def test_temperature_is_a_power():
    """Two classes of 800 and 100 rows at T = 3: draws as 2 to 1 by the cube root of 8."""
    labels = np.repeat([0, 1], [800, 100])
    order = temperature_order(labels, 2, 2, np.random.default_rng(0), temperature=3.0)
    assert counts_of(order, labels, 2).tolist() == [[600, 300], [600, 300]]
    natural = temperature_order(labels, 2, 1, np.random.default_rng(0), temperature=1.0)
    assert counts_of(natural, labels, 2).tolist() == [[800, 100]]


def test_the_plentiful_come_alone_first_and_the_rare_join_them():
    """Classes of 600, 300 and 100 rows: the first two hold the stated nine tenths."""
    labels = np.repeat([0, 1, 2], [600, 300, 100])
    order = plentiful_first_order(
        labels, 3, 4, np.random.default_rng(0), plentiful=0.9, temperature=1.0
    )
    assert np.abs(counts_of(order[:2], labels, 3) - [2000 / 3, 1000 / 3, 0]).max() < 1
    assert counts_of(order[2:], labels, 3).tolist() == [[600, 300, 100]] * 2
    # A stage may end within an epoch.
    part = plentiful_first_order(
        labels, 3, 1, np.random.default_rng(0), over=0.5, plentiful=0.5, temperature=1.0
    )
    assert counts_of(part[:, :500], labels, 3).tolist() == [[500, 0, 0]]
    assert counts_of(part[:, 500:], labels, 3).tolist() == [[300, 150, 50]]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 300), min_size=1, max_size=40).filter(any),
    st.floats(0, 1),
    st.integers(1, 500),
    st.integers(0, 2**32 - 1),
)
def test_counts_are_the_shares_to_within_one_and_spread_over_the_epoch(counts, power, places, seed):
    counts = np.array(counts)
    labels = np.repeat(np.arange(len(counts)), counts)
    order = power_order(
        labels, len(counts), 3, np.random.default_rng(seed), power=power, epoch_rows=places
    )
    raised = np.where(counts > 0, counts.astype(float) ** power, 0.0)
    expected = places * raised / raised.sum()
    found = counts_of(order, labels, len(counts))
    assert (found.sum(axis=1) == places).all()
    assert np.abs(found - expected).max() < 1 + 1e-6
    # Half of a class's places lie in the first half, give or take what others are rounded by.
    half = counts_of(order[:, : places // 2], labels, len(counts))
    assert np.abs(half - found / 2).max() <= 2 + len(counts) / 2


def test_a_share_below_one_row_is_right_on_average():
    """A row in a thousand, 100 places: a draw in every tenth epoch."""
    labels = np.repeat([0, 1], [999, 1])
    order = power_order(labels, 2, 2000, np.random.default_rng(0), power=1.0, epoch_rows=100)
    assert 150 < counts_of(order, labels, 2)[:, 1].sum() < 250


def test_a_class_that_is_never_drawn_is_an_error():
    spec = parse_remedy("sqrt_sampler:epoch_rows=2")
    with pytest.raises(SettingsError, match="2 classes that have rows are never drawn in 1 epochs"):
        build_order([spec], LABELS, 3, 1, np.random.default_rng(0))


def test_a_class_that_only_early_epochs_draw_is_an_error_that_says_what_to_do():
    labels = np.repeat(np.arange(40), [400, *[10] * 39])
    spec, said = parse_remedy("progressive_sampler:epoch_rows=20"), []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        try:
            order = build_order([spec], labels, 40, 4, rng)
        except SettingsError as error:
            said.append(str(error))
        else:
            assert len(np.unique(labels[in_effect([spec], order)])) == 40
    assert said
    assert "never drawn in the last 2 of 4 epochs of 20 places; train for more epochs" in said[0]


def test_epochs_that_the_kept_weights_never_saw_do_not_count():
    spec, order = [parse_remedy("plentiful_first")], np.arange(12).reshape(6, 2)
    assert in_effect(spec, order).tolist() == order[3:].tolist()
    assert in_effect(spec, order, progress=0.49).tolist() == order[1:3].tolist()
    assert in_effect(spec, order, progress=0.0).tolist() == order[:1].tolist()


def curriculum_losses(model, rate, seed):
    """Log loss of scores trained under the curriculum and moved, to the prior of new rows, from the
    shares of all epochs, of the later half, and of the last one."""
    rng = np.random.default_rng(seed)
    share = np.geomspace(1, 0.01, 5) / np.geomspace(1, 0.01, 5).sum()
    centres = rng.normal(size=(5, 16)) * 0.85

    def drawn(n):
        labels = rng.choice(5, size=n, p=share)
        rows = centres[labels] + rng.normal(size=(n, 16))
        return torch.tensor(rows, dtype=torch.float32), torch.from_numpy(labels)

    (rows, labels), (fresh, truth) = drawn(3000), drawn(20_000)
    specs = [parse_remedy("progressive_sampler")]
    order = build_order(specs, labels.numpy(), 5, 5, rng)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    steps = [step for epoch in order for step in np.array_split(epoch, 94)]
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, len(steps))
    for step in steps:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(rows[step]), labels[step]).backward()
        optimizer.step()
        schedule.step()
    logits, counts = model(fresh).detach().double(), np.bincount(labels)

    def loss(draws):
        source = log_source([], counts, drawn=drawn_counts(labels.numpy(), draws, 5))
        moved = logits + torch.from_numpy(np.log(counts / counts.sum()) - source)
        return float(torch.nn.functional.cross_entropy(moved, truth))

    return [loss(draws) for draws in (order, in_effect(specs, order), order[-1:])]


def test_the_shares_in_effect_are_those_of_the_later_epochs():
    """Over a linear model, which lags behind the curriculum, and a network, which keeps up: the
    scores of both are honest under the shares of the later half of the epochs."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.ReLU(), torch.nn.Linear(32, 5))
    models = ((torch.nn.Linear(16, 5), 0.03), (network, 0.01))
    every, later, last = np.sum([curriculum_losses(*model, seed=0) for model in models], axis=0)
    assert later < min(every, last)
    order = np.arange(8).reshape(4, 2)
    assert in_effect([parse_remedy("sqrt_sampler")], order) is order


# ── by group ──────────────────────────────────────────────────────────────────────────────────

GROUPS = np.random.default_rng(2).permutation(np.repeat([0, 1], [450, 54]))


def test_every_cell_comes_equally_often_and_bucketing_keeps_it_so():
    rng = np.random.default_rng(0)
    kinds = cells(LABELS, GROUPS)
    present = len(np.unique(kinds))
    order = group_balanced_order(LABELS, 3, 3, rng, groups=GROUPS)
    specs = [parse_remedy("group_balanced_sampler")]
    kept = strata(specs, LABELS, groups=GROUPS)
    np.testing.assert_array_equal(kept, kinds)
    np.testing.assert_array_equal(strata([], LABELS), LABELS)
    lengths = 10 * kinds + rng.integers(9, size=len(kinds))  # length and cell go together
    plan = plan_steps(order, lengths, kept, rng, batch_rows=4 * present, bucket_steps=8)
    for epoch in range(3):
        for step in range(plan.steps - 1):
            times = np.bincount(kinds[plan.step(epoch, step)], minlength=present)
            # To within one: blocks run on from epoch to epoch.
            assert np.abs(times - 4).max() <= 1


def test_every_group_comes_equally_often_if_asked():
    order = group_balanced_order(LABELS, 3, 2, np.random.default_rng(0), groups=GROUPS, by="group")
    assert (np.bincount(GROUPS[order.ravel()]) == 504).all()
    # Within each group classes come as they are, to the rows of a cycle that is cut short.
    for group, rows in enumerate((450, 54)):
        here = order.ravel()[GROUPS[order.ravel()] == group]
        whole = here[: len(here) // rows * rows]
        natural = np.bincount(LABELS[np.equal(GROUPS, group)], minlength=3)
        assert (np.bincount(LABELS[whole], minlength=3) == natural * (len(whole) // rows)).all()


def test_group_weights_by_hand():
    """Cells of 4, 1 and 1 rows: 1/4, 1, 1, scaled by 6/3; groups of 4 and 2: 1/4, 1/2, by 6/2."""
    labels, groups = np.array([0, 0, 0, 0, 0, 1]), np.array([0, 0, 0, 0, 1, 1])
    found = group_weights(labels, 2, groups=groups)
    np.testing.assert_allclose(found, [0.5] * 4 + [2, 2])
    np.testing.assert_allclose(
        group_weights(labels, 2, groups=groups, by="group"), [0.75] * 4 + [1.5] * 2
    )
    np.testing.assert_allclose(group_weights(labels, 2, groups=groups, power=0.0), np.ones(6))


def test_group_weights_leave_class_shares_to_a_second_training_that_draws_alike():
    labels = np.repeat([0, 1], [900, 100])
    both = parse_remedies(["group_weights", "crt"])
    meaningless = np.arange(1000) % 2
    np.testing.assert_allclose(build_row_weights(both, labels, 2, groups=meaningless), 1)
    # Of each class a tenth is of another group: within a class it counts as much as the rest.
    tenth = (np.arange(1000) % 10 == 0).astype(np.int64)
    found = build_row_weights(both, labels, 2, groups=tenth)
    for k in (0, 1):
        of_class = labels == k
        assert found[of_class].mean() == pytest.approx(1)
        shares = np.bincount(tenth[of_class], found[of_class])
        assert shares[0] == pytest.approx(shares[1])
    # Alone they make classes count alike, as ever.
    alone = build_row_weights(both[:1], labels, 2, groups=tenth)
    np.testing.assert_allclose(np.bincount(labels, alone), [500, 500])


def test_group_weights_without_groups_say_what_is_missing():
    with pytest.raises(SettingsError, match="remedy group_weights: needs groups"):
        build_row_weights([parse_remedy("group_weights")], LABELS, 3, groups=None)


# ── by copies and costs ───────────────────────────────────────────────────────────────────────


def test_copies_share_one_vote():
    sizes = np.array([3, 3, 3, 1])
    found = cluster_weights(np.zeros(4, dtype=np.int64), 1, cluster_sizes=sizes)
    np.testing.assert_allclose(found, [2 / 3] * 3 + [2])
    half = cluster_weights(np.zeros(4, dtype=np.int64), 1, cluster_sizes=sizes, power=0.5)
    np.testing.assert_allclose(half[3] / half[0], np.sqrt(3))


COSTS = np.array([[0.0, 1, 3], [4, -1, 0], [10, 10, 0]])


@pytest.mark.parametrize(
    ("errors", "expected"),
    # Mean excess: (1 + 3)/2; (5 + 1)/2; 10. By shares (400 : 100 : 4): (100 + 12)/104;
    # (2000 + 4)/404; 10.
    [("even", [2, 3, 10]), ("frequent", [112 / 104, 2004 / 404, 10]), ("worst", [3, 5, 10])],
)
def test_cost_weights_by_hand(errors, expected):
    found = cost_weights(
        LABELS, 3, row_costs=COSTS[LABELS], class_names=("a", "b", "c"), errors=errors
    )
    raw = np.array(expected)[LABELS]
    np.testing.assert_allclose(found, raw / raw.mean())


def test_a_row_may_have_costs_of_its_own():
    """A fraud costs its amount: 1 and 9."""
    labels = np.array([0, 0, 1, 1])
    row_costs = np.array([[0, 2.0], [0, 2], [1, 0], [9, 0]])
    found = cost_weights(labels, 2, row_costs=row_costs, class_names=("fine", "fraud"))
    np.testing.assert_allclose(found, np.array([2, 2, 1, 9]) / 3.5)


def test_a_class_whose_mistakes_are_free_is_an_error():
    free = np.array([[0.0, 0, 0], [1, 0, 1], [1, 1, 0]])
    with pytest.raises(SettingsError, match="mistakes on class 'a' cost nothing"):
        cost_weights(LABELS, 3, row_costs=free[LABELS], class_names=("a", "b", "c"))


def test_the_prior_of_the_scores_knows_row_weights():
    """Rows of class 0 count 3, of class 1 one: shares 8 : 2 are as good as 24 : 2."""
    labels = np.repeat([0, 1], [8, 2])
    weights = np.where(labels == 0, 3.0, 1.0)
    seen = drawn_counts(labels, np.arange(10)[None], 2, weights)
    np.testing.assert_allclose(
        np.exp(log_source([], np.array([8, 2]), drawn=seen)), [24 / 26, 2 / 26]
    )


def test_the_record_says_what_weights_are_worth():
    """Weights 2/3 thrice and 2: (sum)² / sum of squares = 16 / (12/9 + 4) = 3."""
    said = row_weights_effect(
        parse_remedy("cluster_weights"),
        np.array([2 / 3] * 3 + [2]),
        np.array([0, 0, 0, 1]),
        ("many", "one"),
    )
    assert said == (
        "cluster_weights gave rows weights from 0.667 to 2; 4 rows are worth 3 of equal weight. "
        "On average they let one row of one count as much as 3 of many."
    )
