"""Averages: of the sub-models, of what they learned, and of what their Fisher information trusts.

All go by differences from one of the sub-models or from the base, so that equal sub-models merge to
themselves, to the bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from equipoise.merge.methods.method import Counts, Part, Place, counted, deltas, narrow, wide


def average(_: Place, base: Tensor | None, parts: Iterable[Part]) -> tuple[Tensor, Counts]:
    """sum w_k theta_k / sum w_k. With equal weights a uniform soup.

    Source  Wortsman et al. 2022, Model soups, arXiv:2203.05482.
    """
    total, weights = _Sum(), 0.0
    origin, tuned = from_first(parts)
    for part, delta in tuned:
        total.add(part.weight, delta)
        weights += part.weight
    found = origin + total.value / origin.dtype.type(weights)
    return counted(narrow(found, part.values))


def task_arithmetic(
    _: Place, base: Tensor, parts: Iterable[Part], *, scale: float = 1.0
) -> tuple[Tensor, Counts]:
    """base + scale x sum w_k (theta_k - base), the weights as they are: with 1 each what all
    sub-models learned is added up. Of one sub-model: interpolation with the base (WiSE-FT), scale
    being its share.

    Source  Ilharco et al. 2023, Editing models with task arithmetic, arXiv:2212.04089; Wortsman et
            al. 2022, Robust fine-tuning of zero-shot models, arXiv:2109.01903.
    """
    origin = wide(base)
    total = np.zeros_like(origin)
    for part, delta in deltas(base, parts):
        total += origin.dtype.type(part.weight) * delta
    return counted(narrow(origin + origin.dtype.type(scale) * total, base))


def fisher(_: Place, base: Tensor | None, parts: Iterable[Part]) -> tuple[Tensor, Counts]:
    """sum w_k F_k theta_k / sum w_k F_k at each value, F_k the diagonal of the Fisher information;
    where all are 0, the average.

    Source  Matena & Raffel 2022, Merging models with Fisher-weighted averaging, arXiv:2111.09832.
    """
    total, trust, plain, weights = _Sum(), _Sum(), _Sum(), 0.0
    origin, tuned = from_first(parts)
    for part, delta in tuned:
        assert part.importance is not None
        own = wide(part.importance).astype(origin.dtype)
        total.add(part.weight, own * delta)
        trust.add(part.weight, own)
        plain.add(part.weight, delta)
        weights += part.weight
    known = trust.value > 0
    away = plain.value / origin.dtype.type(weights)
    np.divide(total.value, trust.value, out=away, where=known)
    return counted(narrow(origin + away, part.values), unknown=int((~known).sum()))


class _Sum:
    """Weighted stretches added up, in their own type."""

    def __init__(self) -> None:
        self.value: NDArray[Any] = np.zeros(())

    def add(self, weight: float, values: NDArray[Any]) -> None:
        own = values.dtype.type(weight) * values
        self.value = self.value + own if self.value.shape else own


def from_first(
    parts: Iterable[Part],
) -> tuple[NDArray[Any], Iterator[tuple[Part, NDArray[Any]]]]:
    """The first one's values, and each part with its difference to these."""
    left = iter(parts)
    first = next(left)
    origin = wide(first.values)
    return origin, ((part, wide(part.values) - origin) for part in chain([first], left))
