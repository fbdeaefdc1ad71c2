"""Against forgetting: general texts that are replayed, the base's own scores, and a way back to its
weights."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from equipoise.errors import ModelError
from equipoise.models.batches import StepPlan
from equipoise.models.config import ModelConfig
from equipoise.models.feed import Batch
from equipoise.models.load import Base
from equipoise.models.passes import Pass
from equipoise.models.trainer import Wrapper
from equipoise.models.writing.feed import WrittenFeed, bare_feed
from equipoise.models.writing.sequences import Sequences, together
from equipoise.models.writing.writer import Writer

_LORA = ("lora", "rslora")


# ── replay ────────────────────────────────────────────────────────────────────────────────────


def replayed_feed(texts: Sequences, base: Base, like: WrittenFeed) -> WrittenFeed:
    """General texts as the loop takes them.

    like    The rows that they stand beside: a text (of a long one each piece) weighs on the scale
            of a row.
    """
    return replace(bare_feed(texts, base, packs=like.packed), weigh=like.weigh)


@dataclass(frozen=True, eq=False)
class Replayed:
    """The rows of a run and general ones behind them, in one feed."""

    own: WrittenFeed
    general: WrittenFeed

    def __len__(self) -> int:
        return len(self.own) + len(self.general)

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.concatenate([self.own.lengths, self.general.lengths])

    @property
    def states(self) -> None:
        """None: what is replayed has no cached states."""
        return

    def batch(self, rows: NDArray[np.int64]) -> Batch:
        """Own and general rows side by side; each learned token at the weight that it has in its
        own feed."""
        if not len(rows):
            return self.own.batch(rows)
        joined, weights, counts = self._joined(rows)
        inputs, owner = joined.laid_out(np.arange(len(rows)))
        inputs["weights"] = torch.from_numpy(weights[owner])
        inputs["counts"] = torch.from_numpy(counts[owner])
        return inputs

    def _joined(
        self, rows: NDArray[np.int64]
    ) -> tuple[WrittenFeed, NDArray[np.float64], NDArray[np.float64]]:
        """The rows as one feed, and what each learned token of a row weighs and counts."""
        n = len(self.own)
        first, second = rows[rows < n], rows[rows >= n] - n
        order = np.argsort(np.argsort(rows >= n, kind="stable"), kind="stable")
        tokens = together(self.own.tokens.take(first), self.general.tokens.take(second))
        weights = np.concatenate(
            [self.own.token_weights(first), self.general.token_weights(second)]
        )
        counts = np.concatenate([self.own.token_counts(first), self.general.token_counts(second)])
        joined = WrittenFeed(
            tokens=tokens.take(order),
            labels=np.zeros(len(rows), dtype=np.int64),
            weights=np.ones(len(rows)),
            states=None,
            pad_id=self.own.pad_id,
            packed=self.own.packed,
            start_id=self.own.start_id,
        )
        return joined, weights[order], counts[order]


def replayed_beside(batch_rows: int, share: float) -> int:
    """General rows in a step beside so many of the run's own, so that they are `share` of it."""
    return max(1, round(batch_rows * share / (1 - share)))


def with_replay(
    plan: StepPlan, own: int, general: int, share: float, rng: np.random.Generator
) -> StepPlan:
    """Every step with general rows behind its own, so that they are `share` of it: `general` rows
    numbered from `own` on, drawn in shuffled cycles that go on from step to step and epoch to
    epoch. A smaller last step gets as many as the others."""
    each = replayed_beside(plan.batch_rows, share)
    needed = plan.epochs * plan.steps * each
    cycles = [rng.permutation(general) for _ in range(-(-needed // general))]
    drawn = own + np.concatenate(cycles)[:needed].reshape(plan.epochs, plan.steps, each)
    epochs = []
    for epoch in range(plan.epochs):
        steps = [
            np.concatenate([plan.step(epoch, step), drawn[epoch, step]])
            for step in range(plan.steps)
        ]
        epochs.append(np.concatenate(steps))
    return StepPlan(np.stack(epochs), plan.batch_rows + each)


# ── the base's own scores ─────────────────────────────────────────────────────────────────────


def kl_wrapper(writer: Writer, weight: float) -> Wrapper:
    """Adds weight × KL(base, model) to the loss of every learned token. The base is the writer as
    it is now, without what PEFT added to it (virtual tokens are drawn, and are none of the base's);
    what is frozen in it is not held twice."""
    frozen = {id(p): p for p in writer.parameters() if not p.requires_grad}
    base = copy.deepcopy(writer, dict(frozen))
    base.requires_grad_(False)
    base.eval()

    def wrapper(
        run: Pass,
        labels: Tensor,
        weights: Tensor,
        loss: Callable[[Tensor, Tensor], Tensor],
        _: np.random.Generator,
    ) -> Tensor:
        scores = run()
        with torch.no_grad(), base.as_it_came():
            theirs = F.log_softmax(base(**run.inputs).float(), dim=-1)
        ours = F.log_softmax(scores.float(), dim=-1)
        apart = (theirs.exp() * (theirs - ours)).sum(-1)
        losses = loss(scores, labels)
        return weights.to(losses.dtype) * (losses + weight * apart.to(losses.dtype))

    return wrapper


# ── the way back ──────────────────────────────────────────────────────────────────────────────


def starting_weights(writer: Writer) -> dict[str, Tensor]:
    return {n: p.detach().clone() for n, p in writer.named_parameters() if p.requires_grad}


@torch.no_grad()
def interpolate(
    writer: Writer, start: dict[str, Tensor], share: float, settings: ModelConfig
) -> None:
    """Leave `share` of the way that training went. What LoRA adds is a product of two weights, so
    the second alone is made smaller, and the product with it.

    Raises ModelError for methods whose new weights have no base to go back to.
    """
    check_interpolates(settings, share)
    for name, weight in writer.named_parameters():
        if not weight.requires_grad:
            continue
        if settings.method in _LORA:
            if "lora_B" in name:
                weight.mul_(share)
        else:
            weight.copy_(torch.lerp(start[name].to(weight), weight, share))


def check_interpolates(settings: ModelConfig, share: float) -> None:
    if share < 1 and settings.method not in ("full", "light", *_LORA):
        raise ModelError(
            f"write.keep.interpolate: what method {settings.method} adds has no base to go back "
            "to; use full, light, lora or rslora"
        )
