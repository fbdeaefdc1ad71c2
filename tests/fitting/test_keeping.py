"""What holds on to the base, piece by piece: its scores, replayed rows, and general texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from equipoise.fitting.writing.keep import kl_wrapper
from equipoise.models.passes import Pass
from tests.models.writing.tiny import make_feed, make_writer, random_sequences, save_writing_base


def token_loss(scores: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(scores, labels, reduction="none")


@pytest.mark.parametrize("method", ["full", "light", "lora", "ia3", "adapter", "prefix"])
def test_the_base_is_what_the_writer_was(method: Any, tmp_path: Path) -> None:
    """Nothing is added to the loss until training has moved the weights; then something is."""
    writer, _ = make_writer(save_writing_base(tmp_path / "base", "llama"), method)
    writer.eval()
    wrapper = kl_wrapper(writer, 1.0)
    batch = make_feed(random_sequences(6), packed=False).batch(np.arange(6))
    labels, weights, _ = (batch.pop(name) for name in ("labels", "weights", "counts"))

    def added() -> Tensor:
        run = Pass(writer, writer, batch)
        rng = np.random.default_rng(0)
        with torch.no_grad():
            return wrapper(run, labels, weights, token_loss, rng) - token_loss(run(), labels)

    assert float(added().abs().max()) < 1e-5
    with torch.no_grad():
        for parameter in writer.parameters():
            if parameter.requires_grad:
                parameter.add_(0.5 * torch.randn_like(parameter))
    assert float(added().mean()) > 1e-4
