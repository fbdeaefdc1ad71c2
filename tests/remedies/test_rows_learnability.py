"""Rows chosen by loss and by what a short training takes off it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.errors import SettingsError
from equipoise.remedies.rows.learnability import learnable_rows, plain_loss_rows

RNG = np.random.default_rng(0)
LABELS = np.array([0, 0, 0, 0, 0, 1, 1, 1])
VALUES = np.array([0.5, 0.1, 0.9, 0.2, 0.3, 7.0, 9.0, 8.0])


def learnable(seen: np.ndarray, share: float) -> list[int]:
    return learnable_rows(LABELS, 2, RNG, row_gains=VALUES, row_seen=seen, share=share).tolist()


def test_the_largest_gains_of_each_class_stay() -> None:
    assert learnable(np.ones(8, bool), 0.4) == [0, 2, 6, 7]
    assert learnable(np.ones(8, bool), 1.0) == list(range(8))
    assert learnable(np.ones(8, bool), 0.01) == [2, 6]


def test_rows_of_the_short_training_are_ranked_among_themselves() -> None:
    """Row 2 gains most, having been learned by heart; it does not push out the best of the rest."""
    seen = np.array([False, False, True, True, False, False, False, False])
    assert learnable(seen, 0.5) == [0, 2, 4, 6, 7]


def test_either_end_goes_from_each_class() -> None:
    def kept(low: float, high: float) -> list[int]:
        return plain_loss_rows(
            LABELS, 2, RNG, row_losses=VALUES, drop_lowest=low, drop_highest=high
        ).tolist()

    assert kept(0.2, 0.2) == [0, 3, 4, 5, 6, 7]
    assert kept(0.0, 0.4) == [1, 3, 4, 5, 7]
    assert kept(0.4, 0.0) == [0, 2, 4, 6, 7]
    assert kept(0, 0) == list(range(8))


def test_equal_values_stay_in_the_order_of_the_rows() -> None:
    same = np.zeros(8)
    kept = learnable_rows(LABELS, 2, RNG, row_gains=same, row_seen=same > 0, share=0.5)
    assert kept.tolist() == [0, 1, 2, 5, 6]


def test_nothing_left_is_refused() -> None:
    with pytest.raises(SettingsError, match="leave no row"):
        plain_loss_rows(LABELS, 2, RNG, row_losses=VALUES, drop_lowest=0.5, drop_highest=0.5)


@given(st.integers(1, 40), st.floats(0, 0.99), st.floats(0, 0.99), st.integers(0, 2**32 - 1))
def test_what_stays_lies_between_what_goes(n: int, low: float, high: float, seed: int) -> None:
    if low + high >= 1:
        return
    losses = np.random.default_rng(seed).random(n)
    kept = plain_loss_rows(
        np.zeros(n, int), 1, RNG, row_losses=losses, drop_lowest=low, drop_highest=high
    )
    gone = np.setdiff1d(np.arange(n), kept)
    below, above = losses[gone] < losses[kept].min(), losses[gone] > losses[kept].max()
    assert (below | above).all()
    assert below.sum() == int(low * n + 1e-9)
    assert above.sum() == int(high * n + 1e-9)
