"""The gradient of a step is that of the whole batch, however the batch is divided."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.models.conftest import Bases
from tests.models.gradients import (
    BATCH_ROWS,
    DRAWN,
    EXACT,
    Case,
    Gradients,
    in_two_processes,
    plain_gradients,
    relative_difference,
    step_gradients,
    whole_training,
)

LIMITS = {"float64": 1e-10, "float32": 1e-5}
"""Largest relative L2 norm of the difference."""


def worst(found: Gradients, whole: Gradients) -> float:
    assert len(found) == len(whole) == 3
    return max(relative_difference(a, b) for a, b in zip(found, whole, strict=True))


@pytest.mark.parametrize("architecture", ["bert", "llama"])
@pytest.mark.parametrize("dtype", LIMITS)
def test_micro_batches_add_up(bases: Bases, tmp_path: Path, architecture: str, dtype: str) -> None:
    folder, kind = bases(architecture, 2), getattr(torch, dtype)
    whole = plain_gradients(folder, kind)
    assert all(np.abs(g).max() > 0 for step in whole for n, g in step.items() if "head" in n)
    for parts in (1, 2, 4, 8):
        found = step_gradients(folder, device_rows=BATCH_ROWS // parts, dtype=kind, output=tmp_path)
        assert worst(found, whole) <= LIMITS[dtype], parts


@pytest.mark.parametrize("remedy", EXACT)
def test_micro_batches_add_up_under_every_loss(bases: Bases, tmp_path: Path, remedy: str) -> None:
    folder = bases("bert", 2)
    whole = plain_gradients(folder, torch.float64, remedies=[remedy])
    for parts in (1, 2, 4, 8):
        found = step_gradients(
            folder,
            device_rows=BATCH_ROWS // parts,
            dtype=torch.float64,
            remedies=[remedy],
            output=tmp_path,
        )
        assert worst(found, whole) <= LIMITS["float64"], parts
    without = plain_gradients(folder, torch.float64)
    assert worst(whole, without) > 1e-6


@pytest.mark.parametrize("remedy", DRAWN)
def test_micro_batches_add_up_however_rows_are_drawn_and_weighed(
    bases: Bases, tmp_path: Path, remedy: str
) -> None:
    folder = bases("bert", 2)
    whole = plain_gradients(folder, torch.float64, remedies=[remedy])
    for parts in (1, 4):
        found = step_gradients(
            folder,
            device_rows=BATCH_ROWS // parts,
            dtype=torch.float64,
            remedies=[remedy],
            output=tmp_path,
        )
        assert worst(found, whole) <= LIMITS["float64"], parts


def test_l1_counts_once_however_the_batch_is_divided(bases: Bases, tmp_path: Path) -> None:
    folder = bases("bert", 2)
    whole = plain_gradients(folder, torch.float64, l1=0.01)
    without = plain_gradients(folder, torch.float64)
    assert worst(whole, without) > 0.01
    for device_rows in (16, 4):
        found = step_gradients(
            folder, device_rows=device_rows, dtype=torch.float64, l1=0.01, output=tmp_path
        )
        assert worst(found, whole) <= LIMITS["float64"]


@pytest.mark.slow
def test_two_processes_add_up(bases: Bases, tmp_path: Path) -> None:
    """Over gloo, through DDP; also with several micro-batches in each process."""
    folder = bases("bert", 2)
    cases = [
        *(Case("float64", rows, l1=0.01) for rows in (8, 2)),
        Case("float32", 4, l1=0.01),
        # An adversary's second pass goes past DDP's wrapping.
        Case("float64", 4, remedies=("logit_adjusted", "adversarial")),
    ]
    for case, ranks in zip(cases, in_two_processes(folder, tmp_path, cases), strict=True):
        dtype = getattr(torch, case.dtype)
        whole = plain_gradients(folder, dtype, l1=case.l1, remedies=case.remedies)
        for rank, steps in enumerate(ranks):
            assert worst(steps, whole) <= LIMITS[case.dtype], (case, rank)
    # And a whole training, with validation, checkpoints and the best epoch loaded at the end.
    alone, record = whole_training(folder, tmp_path / "alone")
    for rank in range(2):
        with np.load(tmp_path / f"weights-{rank}.npz") as saved:
            for name, weight in alone.items():
                np.testing.assert_allclose(saved[name], weight, rtol=0, atol=1e-5, err_msg=name)
    shared = json.loads((tmp_path / "training" / "finished.json").read_text())
    assert shared == vars(record)
    assert [path.name for path in sorted((tmp_path / "training").iterdir())] == [
        "finished.json",
        "trained.safetensors",
    ]
