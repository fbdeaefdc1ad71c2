"""Slopes over rows that move together: hand-worked values, and intervals that cover."""

from __future__ import annotations

import numpy as np
import pytest

from equipoise.statistics.slopes import slope

Ints = np.ndarray


def alone(n: int) -> tuple[tuple[str, Ints], ...]:
    return (("rows", np.arange(n)),)


def test_a_line_by_hand() -> None:
    x = np.array([0.0, 1, 2, 3, 4, 5])
    found = slope(x, 3 + 2 * x, alone(6))
    assert found.value == pytest.approx(2)
    assert found.low == pytest.approx(2)
    assert found.high == pytest.approx(2)


def test_the_jackknife_is_that_of_leaving_rows_out() -> None:
    rng = np.random.default_rng(0)
    x, z, y = rng.random(12), rng.random(12), rng.random(12)
    groups = np.repeat(np.arange(6), 2)
    found = slope(x, y, (("pairs", groups),), control=z)

    def fitted(keep: np.ndarray) -> float:
        design = np.column_stack([x, z, np.ones(12)])[keep]
        return float(np.linalg.lstsq(design, y[keep], rcond=None)[0][0])

    whole = fitted(np.ones(12, bool))
    each = np.array([fitted(groups != g) for g in range(6)])
    error = np.sqrt(5 / 6 * ((each - whole) ** 2).sum())
    assert found.value == pytest.approx(whole)
    assert found.high == pytest.approx(whole + 2.570581835636314 * error)  # t, 5 degrees


def test_strata_take_out_what_tells_them_apart() -> None:
    strata = np.repeat([0, 1], 10)
    x = np.tile(np.arange(10.0), 2) + 5 * strata
    found = slope(x, x - 50.0 * strata, alone(20), strata=strata)
    assert found.value == pytest.approx(1)


def test_what_can_not_be_had_is_said() -> None:
    flat = slope(np.ones(20), np.arange(20.0), alone(20))
    assert flat.value is None
    assert flat.why is not None
    few = slope(np.arange(20.0), np.arange(20.0) % 3, (("steps", np.arange(20) % 4),))
    assert few.value is not None
    assert few.low is None
    assert "4 steps" in str(few.why)
    assert slope(np.empty(0), np.empty(0), alone(0)).value is None


@pytest.mark.parametrize("planted", [0.0, 0.3])
def test_intervals_cover_where_rows_of_a_step_are_alike(planted: float) -> None:
    """Rows of one length share a step, and their losses; clusters of copies lie across steps."""
    rng = np.random.default_rng(1)
    covered = found_it = 0
    runs = 400
    for _ in range(runs):
        steps = np.repeat(np.arange(30), 8)
        clusters = rng.integers(0, 120, 240)
        base = rng.gamma(2, size=30)[steps] + rng.normal(size=120)[clusters]
        place = steps / 29
        noise = 0.2 * rng.normal(size=30)[steps] + 0.3 * rng.normal(size=240)
        found = slope(
            place,
            planted * place + 0.5 * base + noise,
            (("clusters", clusters), ("steps", steps)),
            control=base,
        )
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= planted <= found.high
        found_it += found.low > 0
    assert 0.93 <= covered / runs <= 0.985
    if planted:
        assert found_it / runs > 0.5
