"""Guaranteed presence: in every step that is trained, however it is divided, bucketed, resumed."""

from __future__ import annotations

import numpy as np
import pytest
from accelerate.data_loader import SkipBatchSampler
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.errors import SettingsError
from equipoise.models.batches import plan_steps
from equipoise.models.feed import PlannedBatches
from equipoise.remedies.batches import build_order
from equipoise.remedies.batches.account import repeats, sampler_effect
from equipoise.remedies.batches.presence import presence_order
from equipoise.remedies.spec import parse_remedy, remedy_spec

LABELS = np.random.default_rng(3).permutation(np.repeat([0, 1, 2], [90, 8, 2]))
NAMES = ("usual", "rare", "rarest")


def ordered(labels=LABELS, epochs=3, batch_rows=16, seed=0, names=None, **asked):
    names = NAMES if names is None else names
    return presence_order(
        labels,
        len(names),
        epochs,
        np.random.default_rng(seed),
        batch_rows=batch_rows,
        class_names=names,
        **asked,
    )


def steps_of(order, batch_rows=16):
    starts = range(0, order.shape[1], batch_rows)
    return [epoch[start : start + batch_rows] for epoch in order for start in starts]


@st.composite
def cases(draw):
    """Labels of 1 to 200 classes at ratios to 10,000, some chosen, and a step that can hold them
    and the rest; how the step is divided, and where training is resumed."""
    count = draw(st.integers(1, 200))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    ratio = 10 ** draw(st.floats(0, 4))
    largest = min(ratio, 20_000 / count)
    counts = np.maximum(1, (largest * ratio ** -rng.random(count)).astype(np.int64))
    counts[0] = max(1, int(largest))
    labels = rng.permutation(np.repeat(np.arange(count), counts))
    chosen = rng.choice(count, size=draw(st.integers(1, min(count, 12))), replace=False)
    at_least = draw(st.integers(1, 3))
    together = draw(st.booleans())
    promised = at_least * (1 if together else len(chosen))
    device_rows = draw(st.integers(1, 16))
    divisions = draw(st.integers(1, 8))
    needed = promised + (len(chosen) < count)
    batch_rows = device_rows * max(divisions, -(-needed // device_rows))
    return labels, chosen, at_least, together, batch_rows, device_rows, rng


@settings(max_examples=120, deadline=None)
@given(cases(), st.integers(1, 8), st.integers(1, 20), st.floats(0, 1, exclude_max=True))
def test_the_promise_holds_in_every_step_as_it_is_fed(case, processes, bucket_steps, resumed):
    labels, chosen, at_least, together, batch_rows, device_rows, rng = case
    names = tuple(f"c{k}" for k in range(int(labels.max()) + 1))
    order = ordered(
        labels,
        epochs=2,
        batch_rows=batch_rows,
        names=names,
        at_least=at_least,
        together=together,
        classes=";".join(names[k] for k in chosen),
    )
    lengths = rng.integers(1, 100, size=len(labels))
    plan = plan_steps(order, lengths, labels, rng, batch_rows=batch_rows, bucket_steps=bucket_steps)
    skipped = int(resumed * plan.steps)
    parts = []
    for process in range(processes):
        batches = PlannedBatches(
            plan, lengths, device_rows=device_rows, processes=processes, process=process
        )
        batches.set_epoch(1)
        accumulated = -(-batch_rows // (device_rows * processes))
        # As accelerate skips what was trained before a stop.
        left = list(SkipBatchSampler(batches, skipped * accumulated))
        parts.append([left[i : i + accumulated] for i in range(0, len(left), accumulated)])
    for step in zip(*parts, strict=True):
        rows = np.concatenate([np.array(m, dtype=np.int64) for part in step for m in part])
        counts = np.bincount(labels[rows], minlength=len(names))[chosen]
        assert len(rows) <= batch_rows
        assert (counts.sum() if together else counts.min()) >= at_least
    assert len(parts[0]) == plan.steps - skipped


def test_rows_enough_are_only_moved():
    """Seven steps want one row each of the eight `rare` ones: none comes twice."""
    order = ordered(classes="rare")
    assert order.shape == (3, 100)
    assert (np.sort(order, axis=1) == np.arange(100)).all()
    assert min(np.sum(LABELS[step] == 1) for step in steps_of(order)) >= 1
    # The eighth is anywhere, and the order is another in every epoch.
    assert (order[0] != order[1]).any()


def test_rows_too_few_come_again_and_are_counted():
    """Of `rarest`, seven places are filled by two rows: five repeats, and five rows of the others
    wait. Over seven epochs the others have come equally often, give or take one."""
    order = ordered(epochs=7, classes="rarest")
    again, waiting = repeats(LABELS, order, 3)
    np.testing.assert_allclose(again, [0, 0, 5])
    assert waiting == 5
    times = np.bincount(order.ravel())
    for k in range(3):
        assert np.ptp(times[(LABELS == 2) == (k == 2)]) <= 1
    assert all(np.sum(LABELS[step] == 2) == 1 for step in steps_of(order))


def test_a_last_step_too_small_is_filled_up_and_else_left():
    """100 rows are six steps of 16 and four rows more."""
    assert ordered(classes="rarest", at_least=4).shape == (3, 100)
    order = ordered(classes="rarest", at_least=5)
    assert order.shape == (3, 112)
    assert min(np.sum(LABELS[step] == 2) for step in steps_of(order)) == 5
    # Fewer rows than a step: one step.
    assert ordered(np.array([0, 0, 1, 2]), classes="rare", at_least=2).shape == (3, 4)
    assert ordered(np.array([0, 0, 1, 2]), classes="rare", at_least=5).shape == (3, 16)


def test_a_small_last_step_leaves_a_place_for_every_other_class():
    """Four rows could hold the promise of four, but not the other class; steps hold 16."""
    labels = np.array([0, 1, 1, 1])
    order = ordered(labels, classes="rare", at_least=4)
    assert order.shape == (3, 16)
    assert all((np.bincount(labels[epoch], minlength=2) >= [1, 4]).all() for epoch in order)
    # Six single rows beside one of which each of two steps wants two: four places and six.
    labels = np.arange(7)
    names = tuple("abcdefg")
    order = ordered(labels, batch_rows=5, names=names, classes="a", at_least=2)
    assert order.shape == (3, 10)
    assert all(set(epoch) == set(range(7)) for epoch in order)


def test_a_promise_that_crowds_a_class_out_is_an_error():
    """Two steps of two rows leave two places for the three others, in the only epoch."""
    spec = remedy_spec("guaranteed_presence", {"classes": "a"})
    with pytest.raises(SettingsError, match=r"1 classes .* never drawn in 1 epochs .* batch_rows"):
        build_order(
            [spec],
            np.arange(4),
            4,
            1,
            np.random.default_rng(0),
            batch_rows=2,
            class_names=tuple("abcd"),
        )


def test_which_classes_are_chosen():
    def least(k, **asked):
        return min(np.sum(LABELS[step] == k) for step in steps_of(ordered(epochs=9, **asked)))

    assert (least(1), least(2)) == (0, 1)  # under a twentieth: `rarest` alone
    assert (least(1, below=0.1), least(2, below=0.1)) == (1, 1)
    assert (least(1, classes="rar*"), least(2, classes="rar*")) == (1, 1)
    assert (least(1, classes="rare; usual"), least(2, classes="rare; usual")) == (1, 0)
    both = [np.sum(LABELS[s] > 0) for s in steps_of(ordered(classes="rar*", together=True))]
    assert min(both) == 1
    # None is so rare: every row once per epoch.
    assert (np.sort(ordered(below=0.001), axis=1) == np.arange(100)).all()


def test_a_step_may_hold_chosen_classes_alone_if_there_are_no_others():
    order = ordered(batch_rows=3, classes="*")
    assert all(sorted(LABELS[step]) == [0, 1, 2] for step in steps_of(order, 3))


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (
            {"classes": "rarest", "at_least": 17},
            "steps of 16 rows can't hold 17; raise batch_rows to 18 or more or lower at_least",
        ),
        (
            {"classes": "rarest", "at_least": 16},
            "steps of 16 rows can't hold 16 and leave a place for the other classes; "
            "raise batch_rows to 17 or more or lower at_least",
        ),
        (
            {"classes": "rar*", "at_least": 9},
            "steps of 16 rows can't hold 9 of each of 2 classes; raise batch_rows to 19 or more, "
            "lower at_least, name fewer classes or say together=true",
        ),
        (
            {"classes": "rarer;x"},
            "no training rows of class 'rarer'; did you mean rare or rarest? name classes between "
            "semicolons; known are usual; rare; rarest",
        ),
    ],
)
def test_impossible_wishes_say_how_to_mend_them(asked, says):
    with pytest.raises(SettingsError) as caught:
        ordered(**asked)
    assert caught.value.faults[0] == f"remedy guaranteed_presence: {says}"
    assert len(caught.value.faults) == 1 + ("x" in asked["classes"])


def test_the_record_says_what_came_again_and_what_is_promised():
    spec = parse_remedy("guaranteed_presence:classes=rarest")
    draws = build_order(
        [spec], LABELS, 3, 4, np.random.default_rng(0), batch_rows=16, class_names=NAMES
    )
    assert sampler_effect(spec, LABELS, draws, NAMES, 16) == (
        "guaranteed_presence:classes=rarest laid 100 places per epoch; the counts are draws per "
        "epoch. 5 of them hold a row again (rarest 5), and 5 of 100 rows wait for another epoch. "
        "Every step of 16 rows holds at least 1 of rarest."
    )
    none = remedy_spec("guaranteed_presence", {"below": 0.01})
    draws = build_order(
        [none], LABELS, 3, 4, np.random.default_rng(0), batch_rows=16, class_names=NAMES
    )
    assert sampler_effect(none, LABELS, draws, NAMES, 16).endswith(
        "No row comes twice in an epoch. No class is below 0.01 of the rows, so nothing changed."
    )
