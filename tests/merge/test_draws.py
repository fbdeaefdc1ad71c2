import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.merge.draws import arrivals, numbers, stream_of, waits

PLACES = np.arange(200_000, dtype=np.uint64)


def test_numbers_are_those_of_the_published_generator() -> None:
    """The first outputs of SplitMix64 from 1234567, known from the reference implementation; the
    lowest bit of each is left out here."""
    known = (6457827717110365317, 3203168211198807973, 9817491932198370423)
    found = numbers(np.uint64(1234567), PLACES[:3])
    assert found.tolist() == [number >> 1 for number in known]


@given(st.integers(0, 2**64 - 1), st.integers(0, 10_000), st.integers(1, 300))
def test_a_number_belongs_to_its_place(stream: int, start: int, count: int) -> None:
    places = np.arange(start, start + count, dtype=np.uint64)
    whole = numbers(np.uint64(stream), np.arange(start + count, dtype=np.uint64))
    assert np.array_equal(numbers(np.uint64(stream), places), whole[start:])


def test_streams_differ_by_each_part_of_their_name() -> None:
    names = [
        (0, "a", "b"),
        (1, "a", "b"),
        (0, "c", "b"),
        (0, "a", "c"),
        (0, "ab", ""),
        (0, "", "ab"),
    ]
    assert len({int(stream_of(*name)) for name in names}) == len(names)


def test_waits_are_the_logarithm_of_what_is_left() -> None:
    drawn = np.concatenate([numbers(np.uint64(5), PLACES), [0, 2**63 - 1]]).astype(np.uint64)
    left = ((np.uint64(2**63 - 1) - drawn >> np.uint64(11)) + 0.5) * 2.0**-52
    np.testing.assert_allclose(waits(drawn), -np.log(left), rtol=1e-15)


@pytest.mark.parametrize("shares", [(1.0, 1.0, 1.0), (0.5, 0.3, 0.2), (8.0, 1.0, 1e-3)])
def test_who_is_first_has_its_share_and_who_is_next_its_share_of_the_rest(
    shares: tuple[float, ...],
) -> None:
    times = np.stack([arrivals(stream_of(0, "w", str(k)), PLACES, s) for k, s in enumerate(shares)])
    order = times.argsort(axis=0)
    whole, n = sum(shares), len(PLACES)
    for k, share in enumerate(shares):
        p = share / whole
        assert abs((order[0] == k).mean() - p) <= 4 * np.sqrt(p * (1 - p) / n)
    behind = order[:, order[0] == 0]
    p = shares[1] / (whole - shares[0])
    spread = np.sqrt(p * (1 - p) / behind.shape[1])
    assert abs((behind[1] == 1).mean() - p) <= 4 * spread + 1e-12


def test_equal_shares_are_drawn_as_if_none_were_given() -> None:
    streams = [stream_of(3, "w", str(k)) for k in range(5)]
    plain = np.stack([arrivals(s, PLACES) for s in streams]).argmin(axis=0)
    shared = np.stack([arrivals(s, PLACES, 0.2) for s in streams]).argmin(axis=0)
    assert np.array_equal(plain, shared)
