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

    Where a row may have several labels no class stands against the others, so a score must be able
    to say how rare its label is: `with_bias` adds a constant per class.
    """

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.bias: nn.Parameter | None
        self.register_parameter("bias", None)
        self.weight = nn.Parameter(torch.empty(classes, width))
        self.log_scale = nn.Parameter(torch.tensor(math.log(_SCALE)))

    def forward(self, vectors: Tensor) -> Tensor:
        """(rows, width) to (rows, classes)."""
        cosines = F.linear(F.normalize(vectors, dim=-1), F.normalize(self.weight, dim=-1))
        scores = self.log_scale.exp() * cosines
        return scores if self.bias is None else scores + self.bias

    def with_bias(self) -> CosineHead:
        """Itself, with a bias of zeros."""
        self.bias = nn.Parameter(torch.zeros_like(self.weight[:, 0]))
        return self


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


@torch.no_grad()
def start_from_labels(
    head: nn.Module, labels: NDArray[np.int64], vectors: NDArray[np.floating[Any]] | None
) -> None:
    """Where a row may have several labels: set each label's direction to the mean of the vectors
    of rows that have it, less that of rows that don't; and its bias so that its scores have the
    log-odds of its share as their mean. Training then need not first learn how rare labels are,
    which takes the gradients of all rows to find out (Lin et al. 2017, section 4.1).

    Shapes  labels (rows, K) 0/1; vectors (rows, width), or None: directions stay as drawn, where
            the layers below change from the first step.
    """
    assert isinstance(head, CosineHead | LinearHead)
    y = torch.tensor(labels, dtype=torch.float64)
    rows, held = len(y), y.sum(0)
    means = torch.zeros(y.shape[1], dtype=torch.float64)
    if vectors is not None:
        weight = head.weight if isinstance(head, CosineHead) else head.linear.weight
        given = torch.tensor(vectors, dtype=torch.float64)
        units = F.normalize(given, dim=-1)
        told = (held > 0) & (held < rows)
        with_ = (y.T @ units)[told] / held[told, None]
        without = (units.sum(0) - y.T @ units)[told] / (rows - held)[told, None]
        apart = with_ - without
        weight[told] = (F.normalize(apart) if isinstance(head, CosineHead) else apart).to(weight)
        means = head_scores(head, given)
    bias = head.bias if isinstance(head, CosineHead) else head.linear.bias
    assert bias is not None, "a cosine head for several labels is made with one"
    bias.copy_((((held + 0.5) / (rows - held + 0.5)).log() - means).to(bias))


def head_scores(head: CosineHead | LinearHead, vectors: Tensor) -> Tensor:
    """(K,) mean score of each class over float64 vectors (rows, width), less bias and dropout."""
    if isinstance(head, CosineHead):
        cosines = F.normalize(vectors, dim=-1).mean(0) @ F.normalize(head.weight.double().cpu()).T
        return float(head.log_scale.exp()) * cosines
    return vectors.mean(0) @ head.linear.weight.double().cpu().T
