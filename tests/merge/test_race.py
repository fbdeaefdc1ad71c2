"""The compiled race against the plain one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.merge.compiled import arrive_equal, compiled
from equipoise.merge.compiled import ended as ended_fast
from equipoise.merge.draws import LATEST, numbers
from equipoise.merge.race import Standing, arrive, ended, starting

FAST = compiled()
KINDS = (np.uint8, np.uint16, np.uint32, np.uint64)


def test_it_is_compiled_here() -> None:
    assert FAST is not None


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=60)
@given(
    shape=st.tuples(st.integers(0, 70), st.integers(1, 6), st.integers(1, 4)),
    start=st.integers(0, 2**40),
    known=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_both_give_the_same_bytes(
    kind: type, shape: tuple[int, int, int], start: int, known: bool, seed: int
) -> None:
    """shape  Values, sub-models, seats."""
    assert FAST is not None
    values, models, seats = shape
    rng = np.random.default_rng(seed)
    base = rng.integers(0, 3, values).astype(kind)
    plain, fast = (starting(values, seats, np.dtype(kind)) for _ in range(2))
    places = np.arange(start, start + values, dtype=np.uint64)
    for _ in range(models):
        own = rng.integers(0, 3, values).astype(kind)
        stream = np.uint64(rng.integers(0, 2**63))
        moved = own != base if known else np.ones(values, dtype=bool)
        arrive(plain, own, numbers(stream, places), moved)
        origin = base if known else None
        stays = arrive_equal(FAST, fast, own, origin, stream, start)
        if known:
            assert stays == int((~moved).sum())
    same = [(plain.seats, fast.seats), (plain.first, fast.first)]
    if known:
        same += [(plain.moved_at, fast.moved_at), (plain.moved, fast.moved)]
        for limited in (False, True):
            one, other = ended(plain, limited), ended_fast(FAST, fast, limited)
            assert np.array_equal(one[0], other[0])
            assert one[1:] == other[1:]
    for one, other in same:
        assert np.array_equal(one, other)


def test_seats_hold_the_earliest_in_their_order() -> None:
    times = np.array([[5], [2], [9], [1]], dtype=np.uint64)
    standing = starting(1, 3, np.dtype(np.uint8))
    for k, time in enumerate(times):
        arrive(standing, np.array([k], dtype=np.uint8), time, np.array([k in (0, 2)]))
    assert standing.seats[:, 0].tolist() == [1, 2, 5]
    assert (standing.first[0], standing.moved[0], standing.moved_at[0]) == (3, 0, 5)


@pytest.mark.parametrize("seats", [1, 2])
def test_at_the_start_nobody_has_arrived(seats: int) -> None:
    standing: Standing = starting(3, seats, np.dtype(np.uint16))
    assert (standing.seats == LATEST).all()
    assert (standing.moved_at == LATEST).all()
