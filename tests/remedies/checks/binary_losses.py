"""Checks of losses for rows that may have several labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from equipoise.errors import ShapeError
from equipoise.remedies.losses.binary_table import build_binary_loss
from equipoise.remedies.spec import remedy_spec

from . import TURN

NEUTRAL: dict[str, dict[str, Any]] = {
    "binary_weighted": {"kind": "effective", "beta": 0.0},
    "binary_focal": {"gamma": 0.0},
    "binary_asymmetric": {"gamma_positive": 0.0, "gamma_negative": 0.0, "clip": 0.0},
    "distribution_balanced": {
        "alpha": 0.5,
        "beta": 0.0,
        "kappa": 0.0,
        "scale": 1.0,
        "gamma": 0.0,
    },
}
"""Settings under which each loss is plain binary cross-entropy."""
MORE: dict[str, list[dict[str, Any]]] = {
    "binary_weighted": [{"kind": "inverse"}, {"kind": "effective"}],
    "binary_focal": [{"gamma": 0.5}],
    "binary_asymmetric": [{"gamma_positive": 1.0, "clip": 0.0}, {"gamma_negative": 0.5}],
    "distribution_balanced": [{"gamma": 0.0}, {"kappa": 0.5, "scale": 5.0}],
}
LABELS = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [1, 0, 1], [1, 1, 0], [0, 0, 0]])
LOPSIDED = np.zeros((100_001, 3), dtype=np.int64)
LOPSIDED[:, 0] = 1
LOPSIDED[0] = [0, 1, 1]
LOPSIDED[1:40_000, 2] = 1
"""Shares from 1 in 100,001 to nearly all."""
TRAINED = {
    "few rows": LABELS,
    "1 : 100,000": LOPSIDED,
    "all labels in all rows": np.ones((5, 3), dtype=np.int64),
    "labels without a row": np.zeros((5, 3), dtype=np.int64),
    "one row": LABELS[:1],
}
"""Labels of the rows as fed."""


def cases_of(name: str) -> dict[str, dict[str, Any]]:
    tried = [{}, NEUTRAL.get(name, {}), *MORE.get(name, [])]
    return {str(settings): settings for settings in tried}


def loss_of(
    name: str, settings: dict[str, Any], z: torch.Tensor, y: torch.Tensor, trained: Any = LABELS
) -> torch.Tensor:
    return build_binary_loss(remedy_spec(name, settings), trained)(z, y)


def drawn(rows: int = 12, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    source = torch.Generator().manual_seed(seed)
    z = torch.randn(rows, 3, dtype=torch.float64, generator=source)
    return z, torch.randint(0, 2, (rows, 3), generator=source)


def shape_bytes_and_rows_by_themselves(name: str, settings: dict[str, Any]) -> None:
    z, y = drawn()
    rows = loss_of(name, settings, z, y)
    assert rows.shape == (12,)
    assert rows.dtype == torch.float64
    assert (rows >= 0).all()
    assert torch.equal(rows, loss_of(name, settings, z, y))
    alone = torch.cat([loss_of(name, settings, z[k : k + 1], y[k : k + 1]) for k in range(12)])
    torch.testing.assert_close(alone, rows, rtol=1e-13, atol=1e-14)


def naming_of_labels_plays_no_part(name: str, settings: dict[str, Any]) -> None:
    z, y = drawn()
    turned = loss_of(name, settings, z[:, TURN], y[:, TURN], LABELS[:, TURN])
    torch.testing.assert_close(turned, loss_of(name, settings, z, y), rtol=1e-12, atol=1e-14)


def no_rows_no_loss_and_still_a_gradient(name: str, settings: dict[str, Any]) -> None:
    z = torch.zeros(0, 3, requires_grad=True)
    loss_of(name, settings, z, torch.zeros(0, 3, dtype=torch.int64)).sum().backward()
    assert z.grad is not None


def gradients_are_those_of_finite_differences(name: str, settings: dict[str, Any]) -> None:
    z, y = drawn(6, 2)
    z.requires_grad_()
    assert torch.autograd.gradcheck(lambda at: loss_of(name, settings, at, y), z)


def extremes_stay_numbers(name: str, settings: dict[str, Any]) -> None:
    steps = torch.tensor([0.0, 1e-8, 1e-3, 1, 20, 100, 1e4, 3e4])
    column = torch.cat([steps, -steps])
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        for trained, answer in ((t, a) for t in TRAINED.values() for a in (0, 1)):
            z = column[:, None].repeat(1, 3).to(dtype).requires_grad_()
            y = torch.full((len(column), 3), answer)
            y[:, 2] = 0
            rows = loss_of(name, settings, z, y, trained)
            assert rows.dtype == (dtype if dtype == torch.float64 else torch.float32)
            assert torch.isfinite(rows).all()
            rows.sum().backward()
            assert z.grad is not None
            assert torch.isfinite(z.grad).all()


def one_label_is_enough(name: str, settings: dict[str, Any]) -> None:
    """A single label is a yes or no like any other, even where all rows have it."""
    z, y = drawn()
    z = z[:, :1].clone().requires_grad_()
    for trained in (LABELS[:, :1], np.ones((5, 1), dtype=np.int64)):
        rows = loss_of(name, settings, z, y[:, :1], trained)
        assert rows.shape == (12,)
        assert torch.isfinite(rows).all()
        (gradient,) = torch.autograd.grad(rows.sum(), z)
        assert torch.isfinite(gradient).all()


def labels_of_another_shape_are_refused(name: str, settings: dict[str, Any]) -> None:
    with pytest.raises(ShapeError, match="expected both"):
        loss_of(name, settings, torch.zeros(2, 3), torch.zeros(2, dtype=torch.int64))


BINARY_CHECKS = (
    shape_bytes_and_rows_by_themselves,
    naming_of_labels_plays_no_part,
    no_rows_no_loss_and_still_a_gradient,
    gradients_are_those_of_finite_differences,
    extremes_stay_numbers,
    one_label_is_enough,
    labels_of_another_shape_are_refused,
)
