"""A step's gradient does not depend on how its rows are laid out, and a killed training ends with
the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from equipoise.models.batches import plan_steps
from equipoise.models.cache import CacheSettings
from equipoise.models.config import TrainConfig
from equipoise.models.states import ensure_states
from equipoise.models.train import train_classifier
from equipoise.models.writing.feed import WrittenFeed
from equipoise.models.writing.outputs import row_log_probs
from equipoise.models.writing.writer import Writer
from tests.models.writing.tiny import make_feed, make_writer, random_sequences, save_writing_base

ROWS = 41
"""Batches of 16: two whole steps, and a last one of 9 rows."""


def token_loss(scores: Tensor, labels: Tensor, _: float) -> Tensor:
    return F.cross_entropy(scores, labels, reduction="none")


def loss_of(found: NDArray[np.float64]) -> dict[str, float]:
    return {"loss": -float(found[:, 0].sum() / found[:, 1].sum())}


def uneven(**fields: Any) -> WrittenFeed:
    rng = np.random.default_rng(5)
    weights = 10 ** rng.uniform(-2, 1, size=ROWS)
    weights[7] = 0.0
    return make_feed(random_sequences(ROWS, seed=4), weights=weights, **fields)


def trained(
    writer: Writer,
    feed: WrittenFeed,
    folder: Path,
    *,
    device_rows: int = 16,
    epochs: int = 1,
    stepped: Callable[[int, int], None] = lambda step, steps: None,
    validation: WrittenFeed | None = None,
    choose_by: str = "last",
    measure: Callable[[NDArray[np.float64]], dict[str, float]] | None = None,
    rate: float = 1e-3,
    **settings: Any,
) -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(0)
    draws = np.stack([rng.permutation(len(feed)) for _ in range(epochs)])
    plan = plan_steps(draws, feed.lengths, feed.labels, rng, batch_rows=16, bucket_steps=2)
    config = TrainConfig(
        epochs=epochs,
        batch_rows=16,
        device_rows=device_rows,
        precision="float32",
        warmup_share=0,
        schedule="constant",
        weight_decay=0,
        clip_norm=0,
        choose_by=choose_by,
        **settings,
    )
    train_classifier(
        writer,
        feed,
        plan,
        validation,
        row_loss=token_loss,
        predict=row_log_probs,
        measure=measure or (loss_of if validation is not None else None),
        config=config,
        rates=(rate, rate),
        seed=3,
        folder=folder,
        log_line=lambda line: None,
        stepped=stepped,
    )
    return {n: p.detach().numpy().copy() for n, p in writer.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("weigh", ["token", "row", "category"])
def test_a_step_is_the_same_however_its_rows_are_laid_out(weigh: str, tmp_path: Path) -> None:
    """One, two, four and eight micro-batches, packed and not, in float64."""
    base = save_writing_base(tmp_path / "base", "llama")
    found = []
    for device_rows, packed in ((16, True), (16, False), (8, True), (4, False), (2, True)):
        torch.manual_seed(0)
        writer, _ = make_writer(base, "full")
        writer.double()
        feed = uneven(weigh=weigh, packed=packed)
        place = tmp_path / f"{device_rows}-{packed}"
        found.append(trained(writer, feed, place, device_rows=device_rows))
    for other in found[1:]:
        for name, weight in found[0].items():
            np.testing.assert_allclose(other[name], weight, rtol=0, atol=1e-9, err_msg=name)


@pytest.mark.parametrize(
    ("architecture", "method"),
    [("llama", "full"), ("llama", "light"), ("gemma3", "lora"), ("t5", "full"), ("t5", "light")],
)
def test_gradient_checkpointing_changes_memory_not_results(
    architecture: str, method: Any, tmp_path: Path
) -> None:
    """Packed where rows can be, and from cached states where there are any; in float64."""
    base = save_writing_base(tmp_path / "base", architecture)
    found = []
    for checkpointing in (False, True):
        writer, asked = make_writer(base, method)
        tokens = random_sequences(ROWS, seed=4, sources=writer.two_parts)
        states = None
        if writer.cut is not None:
            cache = CacheSettings(tmp_path / "cache", 1 << 30)
            states = ensure_states(writer, asked, tokens, cache)
            assert states is not None
        feed = make_feed(tokens, states=states, packed=not writer.two_parts)
        place = tmp_path / str(checkpointing)
        writer.double()
        at_work = []

        def look(_: int, __: int, writer: Writer = writer, seen: list[bool] = at_work) -> None:
            seen.append(any(getattr(m, "gradient_checkpointing", False) for m in writer.modules()))

        found.append(
            trained(writer, feed, place, gradient_checkpointing=checkpointing, stepped=look)
        )
        assert set(at_work) == {checkpointing}
    for name, weight in found[0].items():
        np.testing.assert_allclose(found[1][name], weight, rtol=0, atol=1e-6, err_msg=name)


def test_l2_sp_holds_a_writer_near_its_start_however_rows_are_laid_out(tmp_path: Path) -> None:
    """What it adds to a step is the pull towards the start, once, whatever the micro-batches."""
    base = save_writing_base(tmp_path / "base", "llama")

    def moved(device_rows: int, l2_sp: float) -> dict[str, NDArray[Any]]:
        writer, _ = make_writer(base, "full")
        writer.double()
        start = {n: p.detach().numpy().copy() for n, p in writer.named_parameters()}
        place = tmp_path / f"{device_rows}-{l2_sp}"
        after = trained(writer, uneven(), place, device_rows=device_rows, epochs=3, l2_sp=l2_sp)
        return {name: weight - start[name] for name, weight in after.items()}

    def far(found: dict[str, NDArray[Any]]) -> float:
        return sum(float(np.square(change).sum()) for change in found.values())

    whole, parts, free = moved(16, 10.0), moved(4, 10.0), moved(16, 0.0)
    for name, change in whole.items():
        np.testing.assert_allclose(parts[name], change, rtol=0, atol=1e-9, err_msg=name)
    assert far(whole) < 0.5 * far(free)


@pytest.mark.parametrize("method", ["light", "lora"])
def test_a_training_that_was_killed_ends_with_the_same_bytes(method: Any, tmp_path: Path) -> None:
    base = save_writing_base(tmp_path / "base", "llama")

    def fresh() -> tuple[Writer, WrittenFeed]:
        writer, found = make_writer(base, method)
        feed = uneven()
        states = None
        if writer.cut is not None:
            cache = CacheSettings(tmp_path / "cache", 1 << 30)
            states = ensure_states(writer, found, feed.tokens, cache)
        return writer, uneven(states=states)

    writer, feed = fresh()
    whole = trained(writer, feed, tmp_path / "whole", epochs=4, validation=uneven())

    class Killed(Exception):
        pass

    def kill(step: int, _: int) -> None:
        if step == 8:
            raise Killed

    writer, feed = fresh()
    with pytest.raises(Killed):
        trained(writer, feed, tmp_path / "cut", epochs=4, stepped=kill, validation=uneven())
    writer, feed = fresh()
    again = trained(writer, feed, tmp_path / "cut", epochs=4, validation=uneven())
    for name, weight in whole.items():
        np.testing.assert_array_equal(again[name], weight, err_msg=name)


@pytest.mark.parametrize("measure", ["loss", "macro_loss"])
def test_the_epoch_that_is_kept_has_the_smallest_loss(measure: str, tmp_path: Path) -> None:
    """At this rate the random targets of training make validation worse with every epoch."""
    seen: list[float] = []

    def watched(found: NDArray[np.float64]) -> dict[str, float]:
        seen.append(loss_of(found)["loss"])
        return {measure: seen[-1]}

    writer, _ = make_writer(save_writing_base(tmp_path / "base", "llama"), "full")
    judged = make_feed(random_sequences(20, seed=9))
    trained(
        writer,
        uneven(),
        tmp_path / "run",
        epochs=4,
        validation=judged,
        choose_by=measure,
        measure=watched,
        rate=3e-2,
    )
    kept = loss_of(row_log_probs(writer, judged))["loss"]
    assert seen[0] < seen[-1]
    assert kept == pytest.approx(min(seen), rel=1e-6)
