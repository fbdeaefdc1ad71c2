"""Random numbers that belong to a place: the same for one parameter of one sub-model, whoever asks,
when, and beside what.

Every (seed, tensor, sub-model) has a stream of its own, and its i-th number is a function of i
alone: SplitMix64 (Steele, Lea & Flood 2014, Fast splittable pseudorandom number generators, OOPSLA)
with a counter in place of its state. So nothing depends on chunks, shards, threads or on the order
in which sub-models come.

Who is drawn is settled by a race: each sub-model arrives at every place at a time of its own, and
the first is drawn; the next is whom a second draw among the others finds. With equal shares times
are the numbers themselves. With shares p_k they are exponential with rate p_k, so that k is first
with probability p_k, and next with p_j / (1 - p_first) (Efraimidis & Spirakis 2006, Weighted random
sampling with a reservoir, IPL 97(5)).
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.uint64]
"""When a sub-model arrives at each place; of two the smaller is first, and `LATEST` is never."""
LATEST = np.uint64(2**63)

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def stream_of(seed: int, tensor: str, sub_model: str) -> np.uint64:
    """Where the stream of a sub-model's tensor begins: 64 bits of a hash, so that two streams
    overlap by chance only (for tensors of 2**33 values 1 in 2**31)."""
    said = "\x1f".join((str(seed), tensor, sub_model)).encode("utf-8", "surrogatepass")
    return np.uint64(int.from_bytes(hashlib.blake2b(said, digest_size=8).digest(), "little"))


def numbers(stream: np.uint64, places: NDArray[np.uint64]) -> Times:
    """(n,) numbers in 0 .. 2**63 - 1 at the places (n,).

    >>> [int(n) for n in numbers(np.uint64(1234567), np.arange(3, dtype=np.uint64))]
    [3228913858555182658, 1601584105599403986, 4908745966099185211]
    """
    with np.errstate(over="ignore"):
        z = stream + (places + np.uint64(1)) * _GAMMA
        z = (z ^ (z >> np.uint64(30))) * _FIRST
        z = (z ^ (z >> np.uint64(27))) * _SECOND
    found: Times = (z ^ (z >> np.uint64(31))) >> np.uint64(1)
    return found


def waits(drawn: Times) -> NDArray[np.float64]:
    """(n,) -log(1 - u), where u is each number as a share of all, in (0, 1) and never at its ends:
    of exponential law, and in the numbers' order. By operations that IEEE 754 rounds alike
    everywhere, unlike logarithms of libraries: log((1 + s) / (1 - s)) = 2 (s + s**3 / 3 +
    s**5 / 5 + ...), |s| < 0.172.

    >>> quarter = np.array([1 << 61], dtype=np.uint64)
    >>> bool(abs(waits(quarter)[0] + math.log(0.75)) < 1e-15)
    True
    """
    whole = ((LATEST - np.uint64(1) - drawn) >> np.uint64(11)) + 0.5  # exact: 52 bits and a half
    bits = whole.view(np.uint64)
    exponent = (bits >> np.uint64(52)).astype(np.float64) - (1023 + 52)
    mantissa = ((bits & _MANTISSA) | _ONE).view(np.float64)
    large = mantissa > _ROOT
    mantissa = np.where(large, mantissa * 0.5, mantissa)
    exponent = exponent + large
    s = (mantissa - 1.0) / (mantissa + 1.0)
    square = s * s
    series = np.full(s.shape, ODD[0])
    for factor in ODD[1:]:
        series = series * square + factor
    found: NDArray[np.float64] = -(exponent * LOG_2 + 2.0 * s * series)
    return found


_MANTISSA, _ONE = np.uint64(2**52 - 1), np.uint64(1023 << 52)
_ROOT = math.sqrt(2.0)
LOG_2 = math.log(2.0)
ODD = tuple(1.0 / k for k in range(21, 0, -2))
"""1/21, 1/19, ..., 1: what is left out is below 0.172**22 / 23, a part in 10**18."""


def arrivals(
    stream: np.uint64,
    places: NDArray[np.uint64],
    share: float | NDArray[np.float64] | None = None,
) -> Times:
    """(n,) when a sub-model arrives at the places.

    share  Its share of the draws, > 0, of a whole of any size: at all places, or (n,) at each;
           None: all sub-models have the same.
    """
    drawn = numbers(stream, places)
    if share is None:
        return drawn
    waited: NDArray[np.float64] = waits(drawn) / share
    return waited.view(np.uint64)  # the bits of positive floats stand in the order of the values
