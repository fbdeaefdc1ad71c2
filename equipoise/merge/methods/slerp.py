"""The way between two models along the arc between them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from torch import Tensor

from equipoise.merge.methods.method import (
    Counts,
    Known,
    Part,
    Place,
    counted,
    narrow,
    wide,
)

PARALLEL = 0.9995
"""Cosine beyond which the arc is as good as straight, and its formula divides by almost 0."""


def slerp(
    _: Place, base: Tensor | None, parts: Iterable[Part], *, known: Known, t: float = 0.5
) -> tuple[Tensor, Counts]:
    """(sin((1 - t) a) theta_0 + sin(t a) theta_1) / sin(a), a the angle between both as one vector
    per tensor; nearly parallel ones are interpolated straight.

    t       Share of the way from the first sub-model, by its key, to the second.
    known   What `angle` found.
    Source  Shoemake 1985, Animating rotation with quaternion curves, SIGGRAPH.
    """
    first, second = (part for part in parts)
    near, far = shares(known, t)
    start, end = wide(first.values), wide(second.values)
    kind = start.dtype.type
    if near + far == 1:
        found = start + kind(far) * (end - start)
    else:
        found = kind(near) * start + kind(far) * end
    return counted(narrow(found, first.values))


def angle(_: Place, base: Tensor | None, parts: Iterable[Part], **settings: Any) -> Known:
    """Lengths and product of two sub-models' stretches, to be added up over the tensor."""
    first, second = (wide(part.values).astype(np.float64) for part in parts)
    products = [first @ first, second @ second, first @ second]
    return {"products": np.array(products, dtype=np.float64)}


def shares(known: Known, t: float) -> tuple[float, float]:
    """What the first and the second count for.

    >>> near, far = shares({"products": np.array([1.0, 4.0, 0.0])}, 0.5)
    >>> round(near, 6), round(far, 6)
    (0.707107, 0.707107)
    """
    one, other, both = known["products"].tolist()
    length = math.sqrt(one * other)
    cosine = both / length if length > 0 else 1.0
    if not abs(cosine) <= PARALLEL:
        return 1 - t, t
    angle = math.acos(cosine)
    return math.sin((1 - t) * angle) / math.sin(angle), math.sin(t * angle) / math.sin(angle)
