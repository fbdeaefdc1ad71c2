"""The training loop: its settings, its errors, and what it does when memory runs out."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import TrainerCallback

from equipoise.errors import DivergedError, ModelError, SettingsError
from equipoise.models.able import check_able
from equipoise.models.classifier import SequenceClassifier
from equipoise.models.config import ModelConfig, TrainConfig
from equipoise.models.feed import Feed
from equipoise.models.heads import LinearHead
from equipoise.models.outputs import predict_feed
from equipoise.models.train import resolved_precision
from equipoise.models.trainer import (
    EpochKeeper,
    body_weights,
    last_checkpoint,
    parameter_groups,
)
from equipoise.remedies.batches.weights import class_weights
from equipoise.remedies.losses import build_loss
from equipoise.remedies.spec import parse_remedies
from tests.models.conftest import Bases
from tests.models.tiny import cross_entropy, easy_rows, make, make_feed, weights_of
from tests.models.training import measure_of, train, weights_after

ROWS, JUDGED = easy_rows(44), easy_rows(30, seed=9)


def run(
    bases: Bases, folder: Path, *, dropout: float = 0.1, **settings: Any
) -> tuple[dict[str, bytes], list[Any], Any]:
    """Weights, log and record of one training of a two-layer BERT."""
    classifier, base, _, _ = make(bases("bert", 2), method="full", dropout=dropout)
    log: list[dict[str, Any]] = []
    trained = train(
        classifier,
        make_feed(base, ROWS),
        folder,
        validation=make_feed(base, JUDGED),
        log=log,
        **settings,
    )
    return weights_of(classifier), log, trained


def test_the_same_seed_gives_the_same_bytes(bases: Bases, tmp_path: Path) -> None:
    first, _, trained = run(bases, tmp_path / "1")
    assert trained.steps == 12  # 44 rows are five steps of 8 and one of 4
    assert trained.stopped is None
    again, _, _ = run(bases, tmp_path / "2")
    other, _, _ = run(bases, tmp_path / "3", seed=4)
    assert first == again
    assert first != other


def test_only_what_is_needed_is_left_behind(bases: Bases, tmp_path: Path) -> None:
    run(bases, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"finished.json", "trained.safetensors"}


@pytest.mark.parametrize(
    ("schedule", "wanted"),
    [
        ("constant", [0.5, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]),
        ("linear", [0.5] + [1 - i / 10 for i in range(10)] + [0]),
        ("cosine", [0.5] + [0.5 * (1 + np.cos(np.pi * i / 10)) for i in range(10)] + [0]),
    ],
)
def test_schedules_warm_up_and_fall(
    bases: Bases, tmp_path: Path, schedule: str, wanted: list[float]
) -> None:
    _, log, _ = run(bases, tmp_path, schedule=schedule, warmup_share=2 / 12, rates=(1e-3, 1e-3))
    rates = [line["learning_rate"] / 1e-3 for line in log if "loss" in line]
    # The rate logged is that of the step just taken, or the one after it, by the library's version.
    assert len(rates) == 12
    shifted = [0.0, *wanted[:-1]]
    assert np.allclose(rates, wanted, atol=1e-6) or np.allclose(rates, shifted, atol=1e-6)


def test_settings_change_what_they_say(bases: Bases, tmp_path: Path) -> None:
    plain, _, _ = run(bases, tmp_path / "plain")
    changes: list[dict[str, Any]] = [
        {"l1": 0.01},
        {"weight_decay": 0.5},
        {"clip_norm": 0.01},
        {"precision": "bf16"},
        {"batch_rows": 4, "device_rows": 4},
        {"rates": (5e-3, 1e-2)},
    ]
    for number, change in enumerate(changes):
        changed, _, _ = run(bases, tmp_path / str(number), **change)
        assert changed != plain, change


def test_l2_sp_keeps_the_body_near_its_start(bases: Bases, tmp_path: Path) -> None:
    moved = []
    for l2_sp in (0.0, 10.0):
        classifier, base, _, _ = make(bases("bert", 2), method="full", dropout=0.0)
        before = weights_after(classifier)
        feed = make_feed(base, ROWS)
        train(classifier, feed, tmp_path / str(l2_sp), epochs=4, l2_sp=l2_sp, weight_decay=0.0)
        after = weights_after(classifier)
        far = {name: float(np.square(after[name] - before[name]).sum()) for name in before}
        moved.append(
            (
                sum(size for name, size in far.items() if name.startswith("body.")),
                sum(size for name, size in far.items() if name.startswith("head.")),
            )
        )
    (free_body, free_head), (held_body, held_head) = moved
    assert held_body < 0.2 * free_body
    assert held_head > 0.2 * free_head  # a head starts from nothing that is worth keeping


def test_l2_sp_holds_nothing_of_a_head_trained_alone(bases: Bases, tmp_path: Path) -> None:
    """As in the second training of the head behind a training that it held."""
    after = []
    for l2_sp in (0.0, 1.0):
        classifier, base, _, _ = make(bases("bert", 2), method="head")
        feed = make_feed(base, ROWS)
        train(classifier, feed, tmp_path / str(l2_sp), epochs=1, l2_sp=l2_sp)
        after.append(weights_of(classifier))
    assert after[0] == after[1]


def test_settings_that_a_method_has_no_use_or_place_for_are_refused() -> None:
    held = TrainConfig(l2_sp=1.0, track=("papyrus",))
    with pytest.raises(SettingsError, match="l2_sp: holds on to the weights of the body") as told:
        check_able(ModelConfig(method="head"), held)
    assert len(told.value.faults) == 2
    twice = TrainConfig(gradient_checkpointing=True)
    with pytest.raises(SettingsError, match="gradient_checkpointing: PEFT's prefix tuning"):
        check_able(ModelConfig(method="prefix"), twice)
    check_able(ModelConfig(method="light"), TrainConfig(l2_sp=1.0, gradient_checkpointing=True))


def test_l1_makes_weights_small(bases: Bases, tmp_path: Path) -> None:
    sizes = []
    for l1 in (0.0, 0.05):
        classifier, base, _, _ = make(bases("bert", 2), method="full", dropout=0.0)
        feed = make_feed(base, ROWS)
        train(classifier, feed, tmp_path / str(l1), epochs=4, l1=l1, weight_decay=0.0)
        sizes.append(sum(np.abs(weight).sum() for weight in weights_after(classifier).values()))
    assert sizes[1] < 0.9 * sizes[0]


def test_gradient_checkpointing_changes_memory_not_results(bases: Bases, tmp_path: Path) -> None:
    for method in ("full", "light", "lora"):
        after = []
        for checkpointing in (False, True):
            classifier, base, _, _ = make(bases("bert"), method=method, dropout=0.0)
            train(
                classifier,
                make_feed(base, ROWS),
                tmp_path / f"{method}{checkpointing}",
                epochs=1,
                rates=(1e-3, 1e-3),
                gradient_checkpointing=checkpointing,
            )
            after.append(weights_after(classifier))
        for name, weight in after[0].items():
            np.testing.assert_allclose(after[1][name], weight, rtol=0, atol=1e-5, err_msg=name)


def test_training_in_bf16_judges_and_leaves_full_precision(bases: Bases, tmp_path: Path) -> None:
    classifier, base, _, _ = make(bases("bert", 2), method="full", dropout=0.0)
    feed, judged = make_feed(base, ROWS), make_feed(base, JUDGED)
    log: list[dict[str, Any]] = []
    train(classifier, feed, tmp_path, validation=judged, precision="bf16", log=log)
    assert {p.dtype for p in classifier.parameters()} == {torch.float32}
    assert "forward" not in vars(classifier)
    last = [line["measures"] for line in log if "measures" in line][-1]
    own = measure_of(judged)(predict_feed(classifier, judged))
    assert last["log_loss"] == own["log_loss"]


def test_precision_suits_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolved_precision("float32") == "float32"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    # With vector instructions for bf16 and no tiles, float32 is quicker.
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    for tiles in (True, False):
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda t=tiles: t)
        assert resolved_precision("auto") == ("bf16" if tiles else "float32")


def test_the_best_epoch_is_kept(bases: Bases, tmp_path: Path) -> None:
    """By recall of one class, whatever the last epoch made of it."""
    classifier, base, _, _ = make(bases("bert", 2), method="full", dropout=0.0)
    feed, judged = make_feed(base, ROWS), make_feed(base, JUDGED)
    log: list[dict[str, Any]] = []
    trained = train(
        classifier,
        feed,
        tmp_path,
        epochs=5,
        rates=(3e-2, 3e-2),
        validation=judged,
        choose_by="recall:2",
        log=log,
    )
    values = {line["step"]: line["measures"]["recall:2"] for line in log if "measures" in line}
    assert list(values) == [6, 12, 18, 24, 30]
    assert trained.best_step == max(values, key=lambda step: values[step])
    kept = measure_of(judged)(predict_feed(classifier, judged))["recall:2"]
    assert kept == max(values.values())


def test_measures_to_keep_low_are_kept_low(bases: Bases, tmp_path: Path) -> None:
    classifier, base, _, _ = make(bases("bert", 2), method="full", dropout=0.0)
    log: list[dict[str, Any]] = []
    trained = train(
        classifier,
        make_feed(base, ROWS),
        tmp_path,
        epochs=4,
        rates=(3e-2, 3e-2),
        validation=make_feed(base, JUDGED),
        choose_by="log_loss",
        log=log,
    )
    values = {line["step"]: line["measures"]["log_loss"] for line in log if "measures" in line}
    assert trained.best_step == min(values, key=lambda step: values[step])


def test_patience_stops_early_and_says_so(bases: Bases, tmp_path: Path) -> None:
    values = iter([0.5, 0.6, 0.6, 0.4, 0.9, 1.0])
    classifier, base, _, _ = make(bases("bert", 2), method="full", dropout=0.0)
    feed = make_feed(base, ROWS)
    from equipoise.models.train import train_classifier
    from tests.models.training import plan_of

    kept: dict[int, dict[str, bytes]] = {}

    def measure(_: Any) -> dict[str, float]:
        kept[len(kept) + 1] = weights_of(classifier)
        return {"accuracy": next(values)}

    trained = train_classifier(
        classifier,
        feed,
        plan_of(feed, 6),
        make_feed(base, JUDGED),
        row_loss=cross_entropy,
        measure=measure,
        config=TrainConfig(epochs=6, batch_rows=8, device_rows=8, choose_by="accuracy", patience=2),
        rates=(1e-3, 1e-3),
        seed=0,
        folder=tmp_path,
        log_line=lambda _: None,
        stepped=lambda *_: None,
    )
    assert trained.epochs_run == 4
    assert trained.best_step == 12
    assert trained.stopped == "2 epochs without a better accuracy"
    assert weights_of(classifier) == kept[2]


def test_a_callback_that_stops_the_training_is_not_taken_for_patience(
    bases: Bases, tmp_path: Path
) -> None:
    class Enough(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            control.should_training_stop = state.global_step == 2

    trained = run(bases, tmp_path, callbacks=[Enough()])[2]
    assert (trained.steps, trained.stopped) == (2, "stopped by a callback")


def test_patience_without_a_measure_is_refused() -> None:
    with pytest.raises(ValueError, match="stopping early needs a measure to watch"):
        TrainConfig(patience=2)
    with pytest.raises(ValueError, match="batch_rows=32 is not a multiple of device_rows=5"):
        TrainConfig(device_rows=5)


def test_divergence_is_stopped_with_advice(bases: Bases, tmp_path: Path) -> None:
    advice = "training diverged: .* try a smaller learning_rate, clip_norm 1, or precision float32"

    def exploding(logits: Tensor, labels: Tensor, _: float) -> Tensor:
        return cross_entropy(logits, labels) * float("inf")

    with pytest.raises(DivergedError, match=advice):
        run(bases, tmp_path / "1", row_loss=exploding)

    calls: list[int] = []

    def at_last(logits: Tensor, labels: Tensor, _: float) -> Tensor:
        """Gradients overflow in the very last step, after which no loss is computed."""
        calls.append(1)
        losses = cross_entropy(logits, labels)
        return losses * 1e38 if len(calls) == 12 else losses

    with pytest.raises(DivergedError, match=advice):
        run(bases, tmp_path / "2", row_loss=at_last, clip_norm=0, schedule="constant")
    assert not (tmp_path / "2" / "finished.json").exists()


def forgetful(most: int) -> Any:
    """Plain cross-entropy on a device that can't hold more than `most` rows."""

    def row_loss(logits: Tensor, labels: Tensor, _: float) -> Tensor:
        if len(labels) > most:
            raise torch.OutOfMemoryError(f"{len(labels)} rows")
        return cross_entropy(logits, labels)

    return row_loss


def test_less_memory_means_smaller_micro_batches_and_the_same_training(
    bases: Bases, tmp_path: Path
) -> None:
    after, notes = [], []
    for name, device_rows, loss in (
        ("small", 2, cross_entropy),
        ("halved", 8, forgetful(3)),
        ("whole", 8, cross_entropy),
    ):
        classifier, base, _, _ = make(bases("bert", 2), method="full", dropout=0.0)
        log: list[dict[str, Any]] = []
        trained = train(
            classifier,
            make_feed(base, ROWS),
            tmp_path / name,
            rates=(1e-3, 1e-3),
            device_rows=device_rows,
            row_loss=loss,
            log=log,
        )
        assert trained.device_rows == (8 if name == "whole" else 2)
        after.append(weights_after(classifier))
        notes.append([line["note"] for line in log if "note" in line])
    assert notes[1] == [
        "out of memory; going on with 4 rows at once",
        "out of memory; going on with 2 rows at once",
    ]
    assert notes[0] == notes[2] == []
    for name, weight in after[0].items():
        assert after[1][name].tobytes() == weight.tobytes(), name
        np.testing.assert_allclose(after[2][name], weight, rtol=0, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("when", [4, 9])
def test_running_out_of_memory_in_the_middle_starts_from_whole_weights(
    bases: Bases, tmp_path: Path, when: int
) -> None:
    """Before the first checkpoint from the start again, after it from there: either way the
    steps are those of the plan, each once."""
    classifier, base, _, _ = make(bases("bert", 2), method="full", dropout=0.0)
    feed = make_feed(base, ROWS)
    plain, _, _, _ = make(bases("bert", 2), method="full", dropout=0.0)
    train(plain, feed, tmp_path / "plain", rates=(1e-3, 1e-3))
    calls: list[int] = []

    def once(logits: Tensor, labels: Tensor, _: float) -> Tensor:
        calls.append(len(labels))
        if len(calls) == when:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 8 GB")
        return cross_entropy(logits, labels)

    trained = train(classifier, feed, tmp_path / "once", rates=(1e-3, 1e-3), row_loss=once)
    assert trained.device_rows == 4
    assert trained.steps == 12
    wanted = weights_after(plain)
    for name, weight in weights_after(classifier).items():
        np.testing.assert_allclose(weight, wanted[name], rtol=0, atol=1e-4, err_msg=name)


def test_a_single_row_too_many_is_an_error_with_advice(bases: Bases, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="out of memory with a single row at once; use a smaller"):
        run(bases, tmp_path, row_loss=forgetful(0))


def test_other_errors_are_not_taken_for_want_of_memory(bases: Bases, tmp_path: Path) -> None:
    def broken(logits: Tensor, labels: Tensor, _: float) -> Tensor:
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        run(bases, tmp_path, row_loss=broken)


def test_predictions_come_in_halves_where_memory_is_short(
    bases: Bases, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier, base, _, _ = make(bases("bert", 2), method="full")
    feed = make_feed(base, ROWS)
    whole = predict_feed(classifier, feed)
    forward = type(classifier).forward

    def short(self: Any, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        if len(input_ids) > 10:
            raise torch.OutOfMemoryError
        return forward(self, input_ids, attention_mask)

    monkeypatch.setattr(type(classifier), "forward", short)
    np.testing.assert_allclose(predict_feed(classifier, feed), whole, rtol=0, atol=1e-6)


def test_weights_of_rows_count_and_rows_of_weight_nothing_do_not(
    bases: Bases, tmp_path: Path
) -> None:
    after = []
    for name, weights in (
        ("ones", np.ones(44)),
        ("uneven", np.linspace(0, 2, 44)),
        ("zeros", np.zeros(44)),
    ):
        classifier, base, _, _ = make(bases("bert", 2), method="full", dropout=0.0)
        feed = make_feed(base, ROWS, weights=weights)
        train(classifier, feed, tmp_path / name, weight_decay=0.0)
        after.append(weights_of(classifier))
    untouched, _, _, _ = make(bases("bert", 2), method="full", dropout=0.0)
    assert after[0] != after[1]
    assert after[2] == weights_of(untouched)


def test_the_head_has_a_rate_of_its_own_and_no_decay(bases: Bases) -> None:
    classifier, _, _, _ = make(bases("bert", 2), method="full", head="linear")
    groups = parameter_groups(classifier, 1e-3, 1e-2, 0.1)
    by_rate = {(g["lr"], g["weight_decay"]): g["params"] for g in groups}
    assert set(by_rate) == {(1e-3, 0.0), (1e-3, 0.1), (1e-2, 0.0)}
    assert len(by_rate[1e-2, 0.0]) == 2
    assert all(p.ndim > 1 for p in by_rate[1e-3, 0.1])
    assert all(p.ndim == 1 for p in by_rate[1e-3, 0.0])
    count = sum(len(g["params"]) for g in groups)
    assert count == sum(p.requires_grad for p in classifier.parameters())


@pytest.mark.parametrize("method", ["full", "light", "lora", "prefix"])
def test_a_native_head_is_a_head_too(bases: Bases, method: str) -> None:
    classifier, _, _, _ = make(bases("bert", 2), method=method, head="native")
    head = {id(p): n for n, p in classifier.named_parameters() if ".classifier." in n}
    trained = {id(p) for p in classifier.parameters() if p.requires_grad}
    groups = parameter_groups(classifier, 1e-3, 1e-2, 0.1)
    (own,) = [g for g in groups if g["lr"] == 1e-2]
    assert own["weight_decay"] == 0.0
    assert {id(p) for p in own["params"]} == head.keys() & trained
    assert len(own["params"]) == 2
    assert {id(p) for _, p in body_weights(classifier)} == trained - head.keys()


def test_factors_do_not_decay_to_nothing(bases: Bases) -> None:
    """IA3's: a layer is as it came where its factors are 1."""
    classifier, _, _, _ = make(bases("bert", 2), method="ia3", head="linear")
    groups = parameter_groups(classifier, 1e-3, 1e-2, 0.1)
    assert {(g["lr"], g["weight_decay"]) for g in groups} == {(1e-3, 0.0), (1e-2, 0.0)}


def test_a_checkpoint_is_whole_once_every_process_has_saved_its_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "checkpoint-5").mkdir()
    whole: list[Path | None] = []
    monkeypatch.setattr(
        "equipoise.models.trainer.wait_for_all",
        lambda: whole.append(next(tmp_path.glob("*/complete.json"), None)),
    )
    arguments = SimpleNamespace(output_dir=str(tmp_path))
    batches = SimpleNamespace()
    for rank in (1, 0):
        keeper = EpochKeeper(batches, 5, None, lambda *_: None)  # type: ignore[arg-type]
        state = SimpleNamespace(
            global_step=5, best_global_step=None, is_world_process_zero=rank == 0
        )
        keeper.on_save(arguments, state, None)
    assert whole == [None, None]
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-5"


@pytest.mark.parametrize("way", ["class_weights", "weighted_cross_entropy"])
def test_a_rare_class_keeps_its_weight_in_steps_that_rarely_hold_it(
    tmp_path: Path, way: str
) -> None:
    """Vectors that say nothing: 0.5 % of the rows are of class 1 and weigh as much as all others,
    so its logit must end where the other's does, though nine steps of ten hold none of them."""
    labels = np.array([1] * 10 + [0] * 1990)
    counts = np.bincount(labels)
    (spec,) = parse_remedies([way])
    weights = class_weights(counts)[labels] if way == "class_weights" else np.ones(2000)
    loss = build_loss(spec if way == "weighted_cross_entropy" else None, counts)
    head = LinearHead(1, 2)
    for parameter in head.parameters():
        torch.nn.init.zeros_(parameter)
    body = torch.nn.Linear(1, 1).requires_grad_(False)
    classifier = SequenceClassifier(body, head, pooling="mean", causal=False)
    vectors = np.ones((2000, 1), np.float32)
    feed = Feed(tokens=None, labels=labels, weights=weights, states=None, vectors=vectors)
    train(
        classifier,
        feed,
        tmp_path,
        epochs=12,
        rates=(0.02, 0.02),
        row_loss=loss,
        batch_rows=20,
        device_rows=20,
        schedule="linear",
        clip_norm=0.0,
    )
    logits = head(torch.ones(1, 1))[0].detach()
    assert float(logits[1] - logits[0]) == pytest.approx(0, abs=0.25)


def test_l2_sp_holds_on_to_the_base_after_memory_ran_out(
    bases: Bases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(bases, tmp_path / "whole", dropout=0.0, l2_sp=5.0, device_rows=4)[0]
    original, calls = Feed.batch, []

    def scarce(self: Feed, rows: Any) -> Any:
        calls.append(len(rows))
        # Once, in the second epoch: a checkpoint has been written, and weights have moved.
        if len(rows) == 8 and sum(n == 8 for n in calls) == 9:
            raise torch.OutOfMemoryError("out of memory")
        return original(self, rows)

    monkeypatch.setattr(Feed, "batch", scarce)
    halved, log, trained = run(bases, tmp_path / "halved", dropout=0.0, l2_sp=5.0)
    assert trained.device_rows == 4
    assert any("out of memory" in line.get("note", "") for line in log)
    one, two = (
        np.concatenate([np.frombuffer(raw, np.float32) for _, raw in sorted(side.items())])
        for side in (whole, halved)
    )
    # Held to the weights of the second epoch in place of the base's, it would be 0.1.
    assert float(np.linalg.norm(two - one)) < 0.01
