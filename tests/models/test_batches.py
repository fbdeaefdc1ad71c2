"""Plans of steps, micro-batches and padding."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from equipoise.errors import ShapeError
from equipoise.models.batches import length_batches, micro_batches, padded, plan_steps
from equipoise.models.feed import PlannedBatches

Ints = NDArray[np.int64]


@st.composite
def tables(draw: st.DrawFn) -> tuple[Ints, Ints, Ints, int, int]:
    """draws (epochs, places), lengths, labels, batch_rows and bucket_steps; rows may repeat in
    an epoch and may be missing, as samplers draw them."""
    rows = draw(st.integers(1, 60))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    draws = rng.integers(rows, size=(draw(st.integers(1, 3)), draw(st.integers(1, 80))))
    lengths = rng.integers(1, 30, size=rows)
    labels = rng.integers(draw(st.integers(1, 5)), size=rows)
    return draws, lengths, labels, draw(st.integers(1, 9)), draw(st.integers(1, 6))


@settings(max_examples=200, deadline=None)
@given(tables(), st.integers(0, 2**32 - 1))
def test_a_plan_keeps_epochs_and_the_mix_of_classes(
    table: tuple[Ints, Ints, Ints, int, int], seed: int
) -> None:
    draws, lengths, labels, batch_rows, bucket_steps = table
    before = draws.copy()

    def planned() -> Ints:
        return plan_steps(
            draws,
            lengths,
            labels,
            np.random.default_rng(seed),
            batch_rows=batch_rows,
            bucket_steps=bucket_steps,
        ).order

    order = planned()
    assert (draws == before).all()
    assert (order == planned()).all()
    for drawn, ordered in zip(draws, order, strict=True):
        assert sorted(drawn) == sorted(ordered)
        window = batch_rows * bucket_steps
        whole = len(drawn) // batch_rows * batch_rows
        assert (ordered[whole:] == drawn[whole:]).all()  # the small last step stays last
        for start in range(0, whole, window):
            here = slice(start, min(start + window, whole))
            assert sorted(drawn[here]) == sorted(ordered[here])
            mixes = [
                sorted(
                    tuple(np.bincount(labels[step], minlength=labels.max() + 1))
                    for step in rows[here].reshape(-1, batch_rows)
                )
                for rows in (drawn, ordered)
            ]
            assert mixes[0] == mixes[1]


def test_bucketing_takes_most_of_the_padding_away() -> None:
    rng = np.random.default_rng(0)
    lengths = rng.lognormal(3, 0.7, size=2048).astype(np.int64) + 1
    labels = rng.integers(3, size=2048)
    draws = np.stack([rng.permutation(2048) for _ in range(2)])

    def padding(bucket_steps: int) -> float:
        plan = plan_steps(
            draws,
            lengths,
            labels,
            np.random.default_rng(1),
            batch_rows=32,
            bucket_steps=bucket_steps,
        )
        steps = [lengths[plan.step(e, s)] for e in range(2) for s in range(plan.steps)]
        return sum(len(x) * x.max() - x.sum() for x in steps) / sum(x.sum() for x in steps)

    assert padding(1) > 1.0
    assert padding(16) < 0.35 * padding(1)


def test_steps_of_a_plan_are_look_ups() -> None:
    plan = plan_steps(
        np.array([[4, 3, 2, 1, 0]]),
        np.ones(5, np.int64),
        np.zeros(5, np.int64),
        np.random.default_rng(0),
        batch_rows=2,
        bucket_steps=1,
    )
    assert (plan.epochs, plan.steps) == (1, 3)
    assert [plan.step(0, s).tolist() for s in range(3)] == [[4, 3], [2, 1], [0]]


def test_shapes_that_do_not_fit_are_refused() -> None:
    rng = np.random.default_rng(0)
    five = np.arange(5)
    with pytest.raises(ShapeError, match="draws"):
        plan_steps(five, five, five, rng, batch_rows=2, bucket_steps=1)
    with pytest.raises(ShapeError, match="labels"):
        plan_steps(five[None], five, five[:3], rng, batch_rows=2, bucket_steps=1)


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 64), st.sampled_from([1, 2, 4, 8]), st.integers(1, 4), st.integers(0, 2**32 - 1)
)
def test_micro_batches_share_out_every_row_once(
    count: int, device_rows: int, processes: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.permutation(100)[:count]
    lengths = rng.integers(1, 30, size=100)
    shares = micro_batches(rows, lengths, device_rows=device_rows, processes=processes)
    assert len(shares) == processes
    assert len({len(parts) for parts in shares}) == 1  # all processes take part equally often
    parts = [part for share in shares for part in share]
    assert sorted(np.concatenate(parts)) == sorted(rows)
    sizes = [len(part) for part in parts]
    assert max(sizes) <= device_rows
    assert max(sizes) - min(sizes) <= 1
    # Sorted by length: no micro-batch pads more than the whole step would.
    assert all(lengths[part].max() <= lengths[rows].max() for part in parts if len(part))


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 50), st.integers(1, 12), st.integers(1, 3), st.integers(1, 3))
def test_planned_batches_add_up_to_the_plan(
    places: int, batch_rows: int, processes: int, device_rows: int
) -> None:
    rng = np.random.default_rng(places)
    draws = np.stack([rng.permutation(places) for _ in range(2)])
    lengths, labels = rng.integers(1, 9, size=places), rng.integers(2, size=places)
    plan = plan_steps(draws, lengths, labels, rng, batch_rows=batch_rows, bucket_steps=2)
    for epoch in range(2):
        seen: list[int] = []
        for process in range(processes):
            batches = PlannedBatches(
                plan, lengths, device_rows=device_rows, processes=processes, process=process
            )
            batches.set_epoch(epoch)
            drawn = list(batches)
            assert len(drawn) == len(batches)
            seen += [row for batch in drawn for row in batch]
        assert sorted(seen) == sorted(draws[epoch])


def test_padding_stands_on_either_side() -> None:
    parts = [np.array([1, 2, 3]), np.array([4])]
    right, mask = padded(parts, fill=9)
    assert right.tolist() == [[1, 2, 3], [4, 9, 9]]
    assert mask.tolist() == [[1, 1, 1], [1, 0, 0]]
    left, mask = padded(parts, fill=9, side="left")
    assert left.tolist() == [[1, 2, 3], [9, 9, 4]]
    assert mask.tolist() == [[1, 1, 1], [0, 0, 1]]
    states = [np.ones((2, 3), np.float32), np.full((1, 3), 2, np.float32)]
    out, mask = padded(states, fill=0.0, side="left")
    assert out.dtype == np.float32
    assert out[1].tolist() == [[0, 0, 0], [2, 2, 2]]
    assert mask.tolist() == [[1, 1], [0, 1]]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(0, 200), max_size=60).map(lambda x: np.array(x, dtype=np.int64)),
    st.integers(1, 16),
    st.integers(1, 500),
)
def test_length_batches_hold_every_row_and_keep_both_limits(
    lengths: Ints, rows: int, tokens: int
) -> None:
    batches = length_batches(lengths, rows=rows, tokens=tokens)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) <= rows
        assert len(batch) == 1 or len(batch) * lengths[batch].max() <= tokens
    longest = [lengths[batch].max() for batch in batches]
    assert longest == sorted(longest, reverse=True)
