"""Values against PEFT's functions of the same papers, where these agree with the papers: at equal
weights, and where no two magnitudes tie at the threshold."""

from __future__ import annotations

import pytest
import torch
from peft.utils import merge_utils

from equipoise import merge
from tests.merge.models import base_state, sub_models

NAME = "model.layers.0.w"


@pytest.mark.parametrize("density", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("count", [2, 5])
def test_ties(density: float, count: int) -> None:
    base = base_state()
    models = sub_models(base, count, moved=1.0)
    found = merge.ties(models, base, density=density).state
    deltas = [one[NAME] - base[NAME] for one in models]
    theirs = merge_utils.ties(deltas, torch.ones(count), density)
    assert found is not None
    torch.testing.assert_close(found[NAME] - base[NAME], theirs, rtol=1e-5, atol=1e-6)


def test_task_arithmetic() -> None:
    base = base_state()
    models = sub_models(base, 3, moved=1.0)
    found = merge.task_arithmetic(models, base, weights=[0.2, 0.5, 0.9]).state
    deltas = [one[NAME] - base[NAME] for one in models]
    theirs = merge_utils.task_arithmetic(deltas, torch.tensor([0.2, 0.5, 0.9]))
    assert found is not None
    torch.testing.assert_close(found[NAME] - base[NAME], theirs, rtol=1e-5, atol=1e-6)


def test_dare_in_expectation() -> None:
    """Each drops other values; over many seeds both come to the average of the task vectors."""
    base = base_state()
    models = sub_models(base, 3, moved=1.0)
    deltas = [one[NAME] - base[NAME] for one in models]
    torch.manual_seed(0)
    theirs = torch.stack(
        [merge_utils.dare_linear(deltas, torch.full((3,), 1 / 3), 0.5) for _ in range(2000)]
    )
    ours = []
    for seed in range(2000):
        state = merge.dare(models, base, density=0.5, seed=seed, threads=1).state
        assert state is not None
        ours.append(state[NAME] - base[NAME])
    both = [torch.stack(ours), theirs]
    spread = (both[0].var(0) / 2000 + both[1].var(0) / 2000).sqrt()
    assert bool(((both[0].mean(0) - both[1].mean(0)).abs() <= 5 * spread + 1e-6).all())
    torch.testing.assert_close(both[0].std(), both[1].std(), rtol=0.05, atol=0)
