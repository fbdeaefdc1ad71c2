"""What the benchmarks of generation compute from rows and from stored sums."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # benchmarks/ is not installed

from benchmarks.generation import chosen_rows, rare_of, rarest, target_met
from benchmarks.paired import Difference
from benchmarks.writing_runs import TextSums, text_differences, unpacked


def lines() -> list[dict[str, Any]]:
    """240 rows of three categories, three rows per prompt."""
    names = ["many"] * 150 + ["some"] * 60 + ["few"] * 30
    return [{"prompt": f"{name} {k // 3}", "category": name} for k, name in enumerate(names)]


@pytest.mark.parametrize("condition", ["as_is", "cut"])
def test_chosen_rows_keep_prompts_apart(condition: str) -> None:
    rows = chosen_rows(lines(), condition, 0, train_rows=100, validation_rows=12)
    train, validation = ({line["prompt"] for line in rows[name]} for name in rows)
    assert not train & validation
    assert len(validation) == len(rows["validation"]) == 12
    assert len(rows["train"]) == 100
    counts = Counter(line["category"] for line in rows["train"])
    if condition == "cut":
        assert counts == {"many": 98, "some": 1, "few": 1}
    else:
        assert counts["many"] > counts["some"] > counts["few"] > 5
    again = chosen_rows(lines(), condition, 1, train_rows=100, validation_rows=12)
    assert again["validation"] == rows["validation"]
    assert condition == "cut" or again["train"] != rows["train"]


def test_the_rarest_is_the_rarest_that_is_judged() -> None:
    assert rarest(lines(), 3) == ["few", "some", "many"]
    result = {"by_rarity": rarest(lines(), 3), "figures": {"bleu": {"overall": 1.0, "some": 2.0}}}
    assert rare_of(result) == "some"


def sums(nats: float, rows: int = 60) -> TextSums:
    """Rows of ten tokens in two categories, each `nats` a token, give or take the same noise."""
    noise = np.random.default_rng(0).normal(0, 0.1, rows)
    loss = np.stack([10 * (nats + noise), np.full(rows, 10.0)], axis=1)
    bleu = np.tile([8.0, 8, 4, 3, 2, 1, 8, 7, 6, 5], (rows, 1))
    return TextSums(
        np.array([f"test-{k:03d}" for k in range(rows)]),
        np.array(["a", "b"] * (rows // 2)),
        np.arange(rows),
        {"loss": loss, "bleu": bleu, "chrf": np.ones((rows, 18))},
    )


def test_differences_are_paired_over_rows_and_seeds() -> None:
    """What makes rows hard is the same for both, so a shift of 0.5 is found exactly."""
    found = text_differences([sums(2.5), sums(2.5)], [sums(2.0), sums(2.0)], "loss")
    assert set(found) == {"overall", "macro", "a", "b"}
    for one in found.values():
        assert (one.value, one.low, one.high) == pytest.approx((0.5, 0.5, 0.5))
    # Seeds that differ widen the interval.
    apart = text_differences([sums(2.5), sums(2.9)], [sums(2.0), sums(2.0)], "loss")["macro"]
    assert apart.value == pytest.approx(0.7)
    assert apart.low < 0.5 < 0.9 < apart.high
    with pytest.raises(ValueError, match="not judged on the same rows"):
        text_differences([sums(2.5)], [sums(2.0, rows=40)], "loss")
    assert set(text_differences([sums(2.5, 10)], [sums(2.0, 10)], "bleu")) == {"overall", "macro"}


def test_sums_come_back_as_they_were_kept(tmp_path: Path) -> None:
    one = sums(2.0)
    (tmp_path / "kept.npz").write_bytes(one.packed())
    assert unpacked(tmp_path / "kept.npz").figures() == one.figures()
    assert one.figures()["loss"]["overall"] == pytest.approx(2.0, abs=0.05)


def test_the_target_asks_for_both() -> None:
    up, down = Difference(2.0, 0.5, 3.5, 3), Difference(-0.6, -1.0, -0.2, 3)
    assert target_met({"few": up, "overall": up}, "few") is True
    assert target_met({"few": up, "overall": down}, "few") is False
    assert target_met({"few": down, "overall": up}, "few") is False
    assert target_met({"overall": up}, "few") is None
