"""Every loss in a stock Trainer, and a clear word where one can't be had there."""

import numpy as np
import pytest
import torch
from transformers import Trainer

from equipoise import losses
from equipoise.errors import SettingsError
from equipoise.losses import for_trainer
from equipoise.remedies.losses import LOSSES
from equipoise.remedies.losses.binary_table import BINARY_LOSSES
from equipoise.remedies.losses.wrapping import WRAPPERS

from .checks import losses as checks
from .test_doors import LABELS, Rows, arguments, tiny_bert

LOGITS = torch.randn(6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
TRUE = torch.tensor([0, 2, 1, 0, 0, 1])


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_by_its_name(name):
    """With what it needs: divided by the rows of the step, by name of the remedy or function."""
    given = {"counts": checks.COUNTS}
    if "costs" in LOSSES[name].needs:
        given["costs"] = checks.COSTS
    if "progress" in LOSSES[name].needs:
        given["progress"] = lambda: 0.9
    rows = checks.loss_of(name, {}, LOGITS, TRUE, 0.9)
    for called in (name, LOSSES[name].function.__name__):
        found = for_trainer(called, **given)({"logits": LOGITS}, TRUE, num_items_in_batch=10)
        torch.testing.assert_close(found, rows.sum() / 10)
    assert getattr(losses, LOSSES[name].function.__name__) is LOSSES[name].function


def test_a_loss_that_ages_with_the_training(tmp_path):
    """LDAM's weights switch on in the second half of 6 steps, read off the Trainer's own state."""
    seen = []

    def progress():
        seen.append(trainer.state.global_step / trainer.state.max_steps)
        return seen[-1]

    compute = for_trainer("ldam", labels=LABELS, progress=progress, defer=0.5)
    trainer = Trainer(
        model=tiny_bert(),
        args=arguments(tmp_path),
        train_dataset=Rows(),
        compute_loss_func=compute,
    )
    trainer.train()
    np.testing.assert_allclose(seen, np.arange(6) / 6)
    young, old = (
        for_trainer("ldam", labels=LABELS, progress=lambda p=p: p, defer=0.5)(
            {"logits": LOGITS}, TRUE
        )
        for p in (0.49, 0.5)
    )
    assert young != old


@pytest.mark.parametrize(
    ("asked", "parts"),
    [
        ({"loss": "ldam"}, ["ldam needs counts", "ldam needs progress: give progress="]),
        ({"loss": "cost_sensitive", "counts": [2, 1]}, ["needs costs: give costs="]),
        *(
            ({"loss": name}, ["of which a Trainer shows its loss only the end"])
            for name in WRAPPERS
        ),
        *(({"loss": name}, ["for rows with several labels"]) for name in BINARY_LOSSES),
    ],
)
def test_what_a_stock_trainer_cannot_give(asked, parts):
    with pytest.raises(SettingsError) as caught:
        for_trainer(**asked)
    assert len(caught.value.faults) == len(parts)
    for part in parts:
        assert part in str(caught.value)
