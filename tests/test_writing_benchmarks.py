"""What the benchmarks of generation compute from rows and from stored sums."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # benchmarks/ is not installed

from benchmarks import generation, label_text, sft_speed
from benchmarks.arms import SEEDS
from benchmarks.forgetting import not_dominated, passages
from benchmarks.generation import chosen_rows, rare_of, rarest, target_met
from benchmarks.label_text import examples_of, options_of, unit_of, words_of
from benchmarks.paired import Difference
from benchmarks.sentences import sentence
from benchmarks.sft_arms import Clock, rates, shares
from benchmarks.writing_runs import (
    TextSums,
    counts_of,
    replayed_tokens,
    same_seeds,
    text_differences,
    unpacked,
)
from equipoise.errors import SettingsError
from equipoise.recipe import make_recipe
from tests.models.writing.tiny import save_writing_base

GAP = Difference(0.1, 0.0, 0.2, 3)


def lines() -> list[dict[str, Any]]:
    """240 rows of three categories, three rows per prompt."""
    names = ["unspecified"] * 150 + ["coffee shop"] * 60 + ["few"] * 30
    return [
        {"prompt": f"{name} {k // 3}", "completion": f"text {k}", "category": name}
        for k, name in enumerate(names)
    ]


@pytest.mark.parametrize("condition", ["as_is", "cut"])
def test_chosen_rows_keep_prompts_apart(condition: str) -> None:
    rows = chosen_rows(lines(), condition, 0, train_rows=100, validation_rows=12, held_rows=5)
    train, validation, held = ({line["prompt"] for line in rows[name]} for name in rows)
    assert not train & validation
    assert not held & (train | validation)
    kept = Counter(line["category"] for line in rows["held"])
    assert kept == {"unspecified": 5, "coffee shop": 5}
    assert all(len(line["references"]) == 3 for line in rows["held"])
    assert len(validation) == len(rows["validation"]) == 12
    spread = Counter(line["category"] for line in rows["validation"])
    assert spread == {"unspecified": 4, "coffee shop": 4, "few": 4}
    assert len(rows["train"]) == 100
    counts = Counter(line["category"] for line in rows["train"])
    if condition == "cut":
        assert counts == {"unspecified": 98, "coffee shop": 1, "few": 1}
    else:
        assert counts == {"unspecified": 62, "coffee shop": 25, "few": 13}
    again = chosen_rows(lines(), condition, 1, train_rows=100, validation_rows=12, held_rows=5)
    assert again["validation"] == rows["validation"]
    assert condition == "cut" or again["train"] != rows["train"]


def test_the_rarest_is_the_rarest_that_is_judged() -> None:
    assert rarest(lines(), 3) == ["few", "coffee shop", "unspecified"]
    result = {
        "by_rarity": rarest(lines(), 3),
        "figures": {"bleu": {"overall": 1.0, "coffee shop": 2.0}},
    }
    assert rare_of(result) == "coffee shop"


def sums(nats: float, rows: int = 60) -> TextSums:
    """Rows of ten tokens in two categories, each `nats` a token, give or take the same noise, and
    a thousandth of noise of its own."""
    noise = np.random.default_rng(0).normal(0, 0.1, rows)
    own = np.random.default_rng(round(1000 * nats)).normal(0, 0.001, rows)
    own -= own.reshape(-1, 2).mean(axis=0)[np.arange(rows) % 2]  # 0 on the mean of each category
    loss = np.stack([10 * (nats + noise + own), np.full(rows, 10.0)], axis=1)
    bleu = np.tile([8.0, 8, 4, 3, 2, 1, 8, 7, 6, 5], (rows, 1))
    return TextSums(
        np.array([f"test-{k:03d}" for k in range(rows)]),
        np.array(["a", "b"] * (rows // 2)),
        np.arange(rows),
        np.ones(rows),
        {"loss": loss, "bleu": bleu, "chrf": np.ones((rows, 18))},
    )


def test_over_all_rows_a_category_counts_by_its_share() -> None:
    """Of 60 judged rows half are of the category that has a tenth of the rows as they come: what
    the other loses is not made up for by what this one gains."""
    plain = sums(2.0)
    counts = counts_of(plain.categories, {"a": 900, "b": 100, "not judged": 50})
    assert counts[:2].tolist() == pytest.approx([1.8, 0.2])
    assert counts.sum() == pytest.approx(60)
    plain = replace(plain, counts=counts)
    noise = np.tile([0.001, 0.001, -0.001, -0.001], 15)
    moved = np.where(plain.categories == "a", 0.1, -0.3) + noise
    loss = plain.sums["loss"] + np.stack([10 * moved, np.zeros(60)], axis=1)
    ours = replace(plain, sums=plain.sums | {"loss": loss})
    overall = text_differences([ours], [plain], "loss")["overall"]
    assert overall.value == pytest.approx(0.9 * 0.1 - 0.1 * 0.3)
    assert overall.low == pytest.approx(overall.high, abs=0.01)
    gap = ours.figures()["loss"]["overall"] - plain.figures()["loss"]["overall"]
    assert gap == pytest.approx(0.06, abs=1e-4)


def test_differences_are_paired_over_rows_and_seeds() -> None:
    """What makes rows hard is the same for both, so a shift of 0.5 is found exactly."""
    found = text_differences([sums(2.5), sums(2.5)], [sums(2.0), sums(2.0)], "loss")
    assert set(found) == {"overall", "macro", "a", "b"}
    for one in found.values():
        assert (one.value, one.low, one.high) == pytest.approx((0.5, 0.5, 0.5), abs=0.002)
        assert one.low < one.high
    # Seeds that differ widen the interval.
    apart = text_differences([sums(2.5), sums(2.9)], [sums(2.0), sums(2.0)], "loss")["macro"]
    assert apart.value == pytest.approx(0.7)
    assert apart.low < 0.5 < 0.9 < apart.high
    with pytest.raises(ValueError, match="not judged on the same rows"):
        text_differences([sums(2.5)], [sums(2.0, rows=40)], "loss")
    assert set(text_differences([sums(2.5, 10)], [sums(2.0, 10)], "loss")) == {"overall", "macro"}


def test_sums_come_back_as_they_were_kept(tmp_path: Path) -> None:
    one = sums(2.0)
    (tmp_path / "kept.npz").write_bytes(one.packed())
    assert unpacked(tmp_path / "kept.npz").figures() == one.figures()
    assert one.figures()["loss"]["overall"] == pytest.approx(2.0, abs=0.05)


def test_oversampling_trains_about_as_many_steps() -> None:
    """Fed are as many rows of each of four categories as the largest has; the price knows it."""
    counts = {
        "as_is": {"unspecified": 1_252, "coffee shop": 593, "pub": 373, "restaurant": 182},
        "cut": {"unspecified": 1_596, "coffee shop": 756, "pub": 24, "restaurant": 24},
    }
    for condition, rows in counts.items():
        plain, more = (
            generation.unit_of(condition, arm, 0) for arm in ("plain", "random_oversample")
        )
        fed = 4 * max(rows.values())
        assert fed / 2_400 == pytest.approx(generation.OVERSAMPLED[condition], abs=0.05)
        ratio = fed * more.settings["epochs"] / (2_400 * plain.settings["epochs"])
        assert 1 <= ratio < 1.35
        prices = [generation.price_seconds(unit) for unit in (plain, more)]
        assert prices[0] < prices[1] < 1.35 * prices[0]


def test_the_target_asks_for_both() -> None:
    up, down = Difference(2.0, 0.5, 3.5, 3), Difference(-0.6, -1.0, -0.2, 3)
    assert target_met({"few": up, "overall": up}, "few") is True
    assert target_met({"few": up, "overall": down}, "few") is False
    assert target_met({"few": down, "overall": up}, "few") is False
    assert target_met({"overall": up}, "few") is None


def test_examples_come_from_the_classes_in_turn() -> None:
    rows = [("a long text", "x"), ("short", "x"), ("of y", "y"), ("the longest of all", "x")]
    assert examples_of(rows, 3, 0) == [("short", "x"), ("of y", "y"), ("a long text", "x")]
    assert examples_of(rows, 0, 0) == []
    assert len(examples_of(rows, 9, 0)) == 4


def test_what_draws_nothing_is_compared_with_plain_of_every_seed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What plain's seeds differ by is in the interval of zero-shot prompting too."""
    names = ("macro_f1", "tail_macro_f1", "worst_class_recall", "accuracy", "log_loss")
    figures = dict.fromkeys(names, 0.5) | {"base": "one"}
    asked = []

    def differences(ours: tuple[str, ...], theirs: tuple[str, ...], **_: int) -> Any:
        asked.append((ours, theirs))
        return dict.fromkeys(("macro_f1", "balanced_accuracy", "log_loss"), GAP)

    monkeypatch.setattr(label_text, "differences_in", differences)
    units = [
        {"settings": dict(unit.settings), "result": figures, "paths": {"npz": unit.name}}
        for unit in label_text.units_of()
        if unit.settings["set"] == "trec6" and unit.settings["arm"] != "few_shot"
    ]
    label_text.summarise(units)
    plain = tuple(f"trec6.plain.s{seed}" for seed in SEEDS)
    assert (("trec6.zero_shot.s0",) * len(SEEDS), plain) in asked
    assert (tuple(f"trec6.logit_adjusted.s{seed}" for seed in SEEDS), plain) in asked


def test_labels_are_words() -> None:
    names = ["atis_flight#atis_airfare", "atis_ground_fare"]
    assert list(words_of("atis_intents", names).values()) == ["flight and airfare", "ground fare"]
    assert words_of("trec6", ["NUM"])["NUM"] == "number"
    unit = unit_of("trec6", "logit_adjusted", 0)
    options = options_of(unit.settings, Path("base"), ["NUM"])
    assert options[options.index("--head") + 1] == "text"
    assert [options[k + 1] for k, word in enumerate(options) if word == "--remedy"] == [
        "logit_adjusted",
        "temperature",
    ]


def test_passages_are_drawn_over_all_books() -> None:
    books = [{"text": f"{name} " * 3_000} for name in ("one", "two")]
    drawn = passages(books, 8, 0)
    assert len(drawn) == 8
    assert {line["text"].split()[0] for line in drawn} == {"one", "two"}
    assert drawn == passages(books, 8, 0)
    assert len(passages(books, 1_000, 0)) == 22


def test_what_is_worse_in_both_is_dominated() -> None:
    assert not_dominated({"a": (1, 3), "b": (2, 2), "c": (2, 3), "d": (1, 3)}) == ["a", "b", "d"]


def test_replayed_passages_are_a_larger_share_of_the_tokens_than_of_the_rows(
    tmp_path: Path,
) -> None:
    """Nine rows of three tokens and the end beside one text of nineteen and the end: 20 of 56."""
    base = save_writing_base(tmp_path / "base", "llama")
    train, replay = tmp_path / "train.jsonl", tmp_path / "replay.jsonl"
    row = {"prompt": "play", "completion": "the loud music", "category": "a"}
    train.write_text(f"{json.dumps(row)}\n{json.dumps(row)}\n")
    replay.write_text(json.dumps({"text": " ".join(["music"] * 19)}))
    asked = {
        "model": {"name": str(base), "method": "full", "max_tokens": 48},
        "train": {"batch_rows": 9, "device_rows": 9},
        "write": {"keep": {"replay": str(replay), "replay_share": 0.1}},
    }
    assert replayed_tokens(make_recipe(asked), train) == pytest.approx(20 / 56, abs=1e-3)
    assert replayed_tokens(make_recipe(asked | {"write": {}}), train) == 0


def test_rates_count_the_first_step_and_what_is_spent_once() -> None:
    """Steps of 2 s after an unmeasured first: 8 s for four, of which one thousand tokens."""
    found = rates([10.0, 12.0, 14.0, 16.0], 1_000, 3_000, 2.0)
    assert found["loop_seconds"] == 8
    assert found["loop_tokens_per_second"] == 125
    assert found["tokens_per_second"] == 100
    assert found["read_tokens_per_second"] == 300
    with pytest.raises(ValueError, match="two steps"):
        rates([1.0], 1, 1, 0.0)
    assert shares({"a": 1.0, "b": 3.0}, 1) == {"b": 0.75, "rest": 0.25}


def test_a_clock_tells_both_times() -> None:
    clock = Clock(ends=[1.0, 3.0], spent=[0.5, 1.0])
    found = clock.record(100, 200, (1.0, 1.0))
    assert found["tokens_per_second"] == 20
    assert found["processor"] == {
        "loop_seconds": 1,
        "spent_once_seconds": 1,
        "tokens_per_second": 50,
    }
    clock.step()
    assert len(clock.ends) == len(clock.spent) == 3
    assert clock.peak > 0


def test_speed_is_compared_with_memory() -> None:
    arm = {
        "tokens_per_second": 10.0,
        "loop_tokens_per_second": 10.0,
        "peak_mib": 100,
        "processor": {"tokens_per_second": 20.0},
    }
    arms = {"trl": arm, "ours": arm | {"tokens_per_second": 14.0}}
    assert sft_speed.compare(arms)["ours"]["goal_met"] is True
    arms["ours"] = arms["ours"] | {"peak_mib": 120}
    assert sft_speed.compare(arms)["ours"]["goal_met"] is False
    assert sft_speed.compare({"ours": arm}) == {}


def test_flops_of_a_token() -> None:
    """One billion weights, 16 layers 2,048 wide, lines of 2,048 tokens: 6.4 GFLOP a token."""
    shape = {"num_hidden_layers": 16, "hidden_size": 2_048}
    assert sft_speed.model_flops(10**9, shape, 2_048) == 6e9 + 6 * 16 * 2_048 * 2_048
    record = {"device": "NVIDIA H200", "read_tokens": 1_000, "loop_seconds": 1.0}
    found = sft_speed.utilisation(record | {"parameters": 10**9}, shape, 2_048)
    assert found["mfu"] == pytest.approx(6.4e12 / 989e12, abs=1e-4)
    unknown = sft_speed.utilisation(record | {"parameters": 10**9, "device": "other"}, shape, 2_048)
    assert unknown["mfu"] is None


def test_a_gpu_unit_is_refused_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SettingsError, match="no GPU"):
        sft_speed.run_unit(sft_speed.unit_of("gpu", "ours"))


def test_what_the_benchmark_of_speed_times_is_there() -> None:
    from equipoise.fitting.writing import arm

    assert callable(arm.states_of)


def test_arms_are_paired_only_where_they_started_from_one_base() -> None:
    ours = {seed: {"result": {"base": base}} for seed, base in ((0, "a"), (1, "a"), (2, "b"))}
    theirs = {seed: {"result": {"base": "a"}} for seed in (1, 2, 3)}
    assert same_seeds(ours, theirs) == [1]


class TestSentences:
    """Those of benchmarks whose results are still to come."""

    GAP: ClassVar = {"value": 1.234, "low": -0.5, "high": 2.0}

    def said(self, name: str, summary: dict[str, Any]) -> str:
        return sentence(name, {"summary": summary, "units": []})

    def test_of_remedies(self) -> None:
        gains = {
            name: {"validation": {"mean_gain": v}, "test": {"mean_gain": v / 2}}
            for name, v in (("focal", 0.02), ("crt", -0.04))
        }
        calibration = {"shown": 7, "compared": 9, "broken": [{}]}
        said = self.said(
            "single_remedies",
            {"remedies": {"light": gains, "head": {}}, "calibration": calibration},
        )
        assert "by light, of 2 remedies, most by focal (+0.020, test +0.010)" in said
        assert "least by crt (-0.040, test -0.020)" in said
        assert "7 of 9 log losses and Brier scores" in said
        assert said.endswith("1 are worse")
        empty = {"remedies": {"light": {}, "head": {}}, "calibration": calibration}
        assert not self.said("single_remedies", empty)

    def test_of_texts(self) -> None:
        arm = {"rare": "pub", "minus_plain": {"bleu": {"pub": self.GAP}}}
        summary = {
            "chosen": {"cut": {"arm": "sqrt_sampler"}},
            "conditions": {"cut": {"sqrt_sampler": arm, "focal": arm}},
            "target_met_cut": ["focal"],
        }
        said = self.said("generation", summary)
        assert said.startswith("cut: 1 of 2 arms meet the target; by validation sqrt_sampler")
        assert "+1.23 [-0.50, 2.00] of the rarest category, too few rows of all rows" in said
        labels = {"sets": {"trec6": {"plain": {"macro_f1": 0.5}, "zero_shot": {"macro_f1": 0.2}}}}
        said = self.said("label_text", labels)
        assert said == "macro-F1: trec6 plain 0.500, zero_shot 0.200"

    def test_of_what_is_forgotten_and_of_speed(self) -> None:
        arms = {
            name: {"forgotten": lost, "macro_loss": loss}
            for name, lost, loss in (("plain", 0.5, 1.0), ("replay", 0.1, 1.1), ("kl", 0.6, 1.2))
        }
        said = self.said("forgetting", {"arms": arms, "not_dominated": ["plain", "replay"]})
        assert said.endswith("plain +0.500 and 1.000, replay +0.100 and 1.100")
        ours = {"ratio": 1.5, "against": "trl", "memory_ratio": 0.9}
        said = self.said("sft_speed", {"cpu": {"ours": ours, "profiles": {}}})
        assert said == "cpu: ours 1.50 times the tokens a second of trl, 0.90 times its memory"
