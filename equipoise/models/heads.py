"""From a row's vector to one score per class."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

_SCALE = 16.0
"""Start of the cosine head's scale. Cosines lie in [-1, 1], so without one a softmax over K classes
could never be surer than e²/(e² + K - 1)."""


class CosineHead(nn.Module):
    """Score = scale × cosine(vector, class direction).

    A class's score does not depend on how long its direction is, so frequent classes can't win by
    growing theirs, as they do under a linear head (arXiv:1910.09217, 2309.10019).
    """

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(classes, width))
        self.log_scale = nn.Parameter(torch.tensor(math.log(_SCALE)))

    def forward(self, vectors: Tensor) -> Tensor:
        """(rows, width) to (rows, classes)."""
        cosines = F.linear(F.normalize(vectors, dim=-1), F.normalize(self.weight, dim=-1))
        return self.log_scale.exp() * cosines


class LinearHead(nn.Module):
    """Score = vector · class weight + bias, after dropout."""

    def __init__(self, width: int, classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(width, classes)

    def forward(self, vectors: Tensor) -> Tensor:
        """(rows, width) to (rows, classes)."""
        out: Tensor = self.linear(self.dropout(vectors))
        return out


def make_head(
    kind: str, width: int, classes: int, *, dropout: float, generator: torch.Generator
) -> nn.Module:
    """A new head with small random weights drawn from `generator`."""
    head: nn.Module
    if kind == "cosine":
        head = CosineHead(width, classes)
        nn.init.normal_(head.weight, std=width**-0.5, generator=generator)
    else:
        head = LinearHead(width, classes, dropout)
        nn.init.normal_(head.linear.weight, std=0.02, generator=generator)
        nn.init.zeros_(head.linear.bias)
    return head


@torch.no_grad()
def start_from_class_means(
    head: nn.Module, vectors: NDArray[np.floating[Any]], labels: NDArray[np.int64]
) -> None:
    """Set each class's direction to the mean of its rows' vectors, centred on the mean of classes.

    The centre is the mean over classes, not over rows: else frequent classes would lie near it
    and start with short, noisy directions. Classes without rows keep their random start.

    Shapes  vectors (rows, width), labels (rows,) int64.
    Source  Liu et al. and Shi et al. 2023, LIFT, arXiv:2309.10019 (semantic-aware start).
    """
    units = F.normalize(torch.tensor(vectors, dtype=torch.float64), dim=-1)
    owner = torch.tensor(labels)
    assert isinstance(head, CosineHead | LinearHead)
    weight = head.weight if isinstance(head, CosineHead) else head.linear.weight
    classes = len(weight)
    counts = torch.bincount(owner, minlength=classes).double()
    sums = torch.zeros(classes, units.shape[1], dtype=torch.float64).index_add_(0, owner, units)
    present = counts > 0
    means = sums[present] / counts[present, None]
    if isinstance(head, CosineHead):
        # Scores are cosines with the raw vector, so the centre is only subtracted from the
        # directions; a shared shift of all scores does not matter to a softmax.
        centred = means - means.mean(0) if len(means) > 1 else means
        weight[present] = F.normalize(centred, dim=-1).to(weight)
    else:
        centred = means - means.mean(0) if len(means) > 1 else means
        weight[present] = centred.to(weight)
