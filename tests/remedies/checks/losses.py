"""Checks of losses for rows of one label."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from equipoise.errors import DataError
from equipoise.remedies.losses import build_loss
from equipoise.remedies.spec import remedy_spec
from equipoise.remedies.table import REMEDIES

from . import RENAMED, TURN

COUNTS = np.array([100_000, 30, 1])
COSTS = np.array([[0.0, 1.0, 3.0], [20.0, 0.0, 5.0], [1000.0, 2.0, -1.0]])
"""True by decided; a right decision may even pay."""

NEUTRAL: dict[str, dict[str, Any] | None] = {
    "weighted_cross_entropy": {"kind": "effective", "beta": 0},
    "focal": {"gamma": 0},
    "class_balanced_focal": {"gamma": 0, "beta": 0},
    "logit_adjusted": {"tau": 0},
    "balanced_softmax": None,
    "vector_scaling": {"gamma": 0, "tau": 0},
    "ldam": {"margin": 0, "beta": 0},
    "seesaw": {"p": 0, "q": 0},
    "cost_sensitive": {"plain": 1},
    "asymmetric": {"gamma_positive": 0, "gamma_negative": 0, "smoothing": 0},
    "dice": None,
    "generalized_cross_entropy": {"q": 0},
    "label_smoothing": {"epsilon": 0},
    "label_aware_smoothing": {"epsilon": 0, "epsilon_rare": 0},
}
"""Settings under which each loss is plain cross-entropy; None: there are none."""
MORE: dict[str, list[dict[str, Any]]] = {
    "focal": [{"gamma": 0.5}, {"gamma": 1}, {"gamma": 5.0}],
    "class_balanced_focal": [{"gamma": 0.5}, {"beta": 0.999999}],
    "logit_adjusted": [{"tau": 2.5}],
    "weighted_cross_entropy": [{"kind": "sqrt"}, {"kind": "effective", "beta": 0.9}],
    "vector_scaling": [{"gamma": 0}, {"gamma": 0.5, "tau": 0}],
    "ldam": [{"margin": 15.0}, {"beta": 0, "defer": 1.0}],
    "seesaw": [{"p": 0}, {"q": 0}, {"p": 2.0, "q": 5.0}],
    "cost_sensitive": [{"plain": 0}],
    "asymmetric": [
        {"smoothing": 0, "gamma_positive": 0.5},
        {"gamma_positive": 1.5, "gamma_negative": 0.5, "smoothing": 1},
    ],
    "dice": [{"alpha": 0}, {"alpha": 0.5, "smooth": 0.01}],
    "generalized_cross_entropy": [{"q": 1}, {"q": 1e-6}],
    "label_smoothing": [{"epsilon": 1}],
    "label_aware_smoothing": [{"epsilon": 0.1, "epsilon_rare": 0.4}],
}
"""Settings that are tried beside the defaults and the neutral ones."""
FIXED_FACTOR = {"dice": {"alpha": 0.0}, "seesaw": {"q": 0.0}}
"""Losses with a factor that the gradient does not pass through, and settings that leave it out."""


def cases_of(name: str) -> dict[str, dict[str, Any]]:
    tried = [{}, *filter(None, [NEUTRAL.get(name)]), *MORE.get(name, [])]
    return {str(settings): settings for settings in tried}


def loss_of(
    name: str,
    settings: dict,
    logits: torch.Tensor,
    labels: torch.Tensor,
    progress: float = 1.0,
) -> torch.Tensor:
    return build_loss(remedy_spec(name, settings), COUNTS, costs=COSTS)(logits, labels, progress)


def check_loss(name: str, settings: dict) -> None:
    torch.manual_seed(0)
    logits = torch.randn(12, 3, dtype=torch.float64)
    labels = torch.arange(12) % 3
    rows = loss_of(name, settings, logits, labels)
    assert rows.shape == (12,)
    assert rows.dtype == torch.float64
    assert (rows >= 0).all()
    # Same numbers, same bytes; every row for itself, whatever else is in the batch.
    assert torch.equal(rows, loss_of(name, settings, logits, labels))
    pairs = zip(logits, labels, strict=True)
    alone = torch.cat([loss_of(name, settings, z[None], y[None]) for z, y in pairs])
    torch.testing.assert_close(alone, rows, rtol=1e-13, atol=1e-14)
    # A constant added to all logits of a row changes nothing, unless classes stretch theirs.
    if name != "vector_scaling" or settings.get("gamma") == 0:
        torch.testing.assert_close(loss_of(name, settings, logits + 3, labels), rows)
    # No rows, no loss, and a sum of 0 that still has a gradient.
    empty = torch.zeros(0, 3, requires_grad=True)
    nothing = loss_of(name, settings, empty, torch.zeros(0, dtype=torch.int64))
    assert nothing.shape == (0,)
    nothing.sum().backward()
    # Only a loss that asks for it knows how old training is.
    young = loss_of(name, settings, logits, labels, 0.0)
    if "progress" not in REMEDIES[name].needs:
        assert torch.equal(young, rows)


def check_loss_naming(name: str, settings: dict) -> None:
    torch.manual_seed(1)
    logits, labels = torch.randn(9, 3, dtype=torch.float64), torch.arange(9) % 3
    turned = build_loss(remedy_spec(name, settings), COUNTS[TURN], costs=COSTS[TURN][:, TURN])
    renamed = turned(logits[:, torch.from_numpy(TURN)], torch.from_numpy(RENAMED)[labels], 1.0)
    torch.testing.assert_close(
        renamed, loss_of(name, settings, logits, labels), rtol=1e-12, atol=1e-14
    )


def check_loss_of_one_class(name: str, settings: dict) -> None:
    """Nothing is to be learned where there is one class, and nothing breaks."""
    logits = torch.tensor([[0.3], [-5000.0]], dtype=torch.float64, requires_grad=True)
    loss = build_loss(remedy_spec(name, settings), np.array([7]), costs=np.zeros((1, 1)))
    rows = loss(logits, torch.tensor([0, 0]), 1.0)
    assert torch.isfinite(rows).all()
    rows.sum().backward()
    torch.testing.assert_close(logits.grad, torch.zeros_like(logits), rtol=0, atol=1e-12)


def check_loss_with_an_empty_class(name: str, settings: dict) -> None:
    """A class without rows is refused by name, or does no harm to the others."""
    counts, labels = np.array([5, 0, 2]), torch.tensor([0, 0, 2])
    logits = torch.randn(3, 3, generator=torch.Generator().manual_seed(6), requires_grad=True)
    spec = remedy_spec(name, settings)
    if "log_prior" in REMEDIES[name].needs or name == "vector_scaling":
        with pytest.raises(DataError, match=r"classes \[1\] have no training rows"):
            build_loss(spec, counts)(logits, labels, 1.0)
        return
    rows = build_loss(spec, counts, costs=COSTS)(logits, labels, 1.0)
    assert torch.isfinite(rows).all()
    rows.sum().backward()
    assert torch.isfinite(logits.grad).all()


def check_loss_gradient(name: str, settings: dict) -> None:
    """The gradient that torch works out is that of finite differences."""
    settings = settings | FIXED_FACTOR.get(name, {})
    torch.manual_seed(2)
    logits = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    labels = torch.arange(6) % 3
    assert torch.autograd.gradcheck(lambda z: loss_of(name, settings, z, labels), logits)


def check_loss_extremes(name: str, settings: dict) -> None:
    """Logits from certain and right to certain and wrong: values and gradients stay numbers."""
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        _check_loss_extremes(name, settings, dtype)


def _check_loss_extremes(name: str, settings: dict, dtype: torch.dtype) -> None:
    steps = torch.tensor([0.0, 1e-8, 1e-3, 1, 20, 100, 1e4, 3e4])
    column = torch.cat([steps, -steps])
    base = torch.zeros(len(column), 3)
    base[:, 0] = column
    for k in range(3):
        logits = base.to(dtype).requires_grad_()
        rows = loss_of(name, settings, logits, torch.full((len(column),), k))
        # Half precision is raised: a margin of log(1e-5) would be lost in it.
        assert rows.dtype == (dtype if dtype == torch.float64 else torch.float32)
        assert torch.isfinite(rows).all(), (name, settings, k)
        rows.sum().backward()
        assert torch.isfinite(logits.grad).all(), (name, settings, k)


LOSS_CHECKS = (
    check_loss,
    check_loss_naming,
    check_loss_of_one_class,
    check_loss_with_an_empty_class,
    check_loss_gradient,
    check_loss_extremes,
)
