"""What the comparison with rivals computes: measures, kept rows, paired differences, verdicts."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # benchmarks/ is run from the root and is not installed

from benchmarks import arms, quality, single_remedies  # noqa: E402
from benchmarks.common import Bench, Result, Unit  # noqa: E402
from benchmarks.judged import Judged, judge, macro_f1, measures, pack, unpack  # noqa: E402
from benchmarks.paired import (  # noqa: E402
    Spread,
    combined,
    paired_differences,
    pooled,
    spread_of,
)
from benchmarks.rivals.regressions import smoted  # noqa: E402
from benchmarks.rivals.trainer import (  # noqa: E402
    decided_names,
    probabilities,
    row_weights,
    weighted_loss,
)
from equipoise.errors import MissingExtraError  # noqa: E402

SEVERAL = {"set": "goemotions_multilabel"}
ONE = {"set": "trec6"}


def lone(n: int) -> Any:
    return np.arange(n, dtype=np.int64)


def judged(truth: str, decided: str, sure: float = 0.9, classes: str = "abc") -> Judged:
    """Rows given as letters; the decided class has probability `sure`."""
    p = np.full((len(truth), len(classes)), (1 - sure) / (len(classes) - 1))
    p[lone(len(truth)), [classes.index(name) for name in decided]] = sure
    return judge(list(truth), tuple(classes), p, lone(len(truth)))[0]


# ---- measures


def test_measures_by_hand() -> None:
    """a: 2 of 2 found, 1 wrongly (F1 0.8); b: never decided; z is not in training, c has no row.
    Rarest in training of the judged classes is z (no row), and a third of three is one."""
    p = np.array(
        [[0.7, 0.2, 0.1], [0.5, 0.3, 0.2], [0.6, 0.3, 0.1], [0.1, 0.2, 0.7], [0.8, 0.1, 0.1]]
    )
    seen, beside = judge(list("aabbz"), tuple("abc"), p, lone(5))
    found = measures(seen, [("", "a")] * 9 + [("", "b"), ("", "c")])
    assert seen.classes == tuple("abcz")
    assert seen.known.tolist() == [True, True, True, False]
    # a is decided for rows 0, 1, 2 and the row of z: 2 * 2 / (2 + 4).
    assert found["macro_f1"] == pytest.approx((2 / 3) / 3)
    assert found["balanced_accuracy"] == pytest.approx(1 / 3)
    assert found["worst_class_recall"] == 0  # b; z does not count
    assert found["accuracy"] == pytest.approx(2 / 5)
    assert found["tail_macro_f1"] == 0
    answered = [0.7, 0.5, 0.3, 0.2]
    assert found["log_loss"] == pytest.approx(-np.mean(np.log(answered)))
    assert seen.brier[0] == pytest.approx(0.3**2 + 0.2**2 + 0.1**2)
    assert seen.brier[4] == pytest.approx(0.8**2 + 0.1**2 + 0.1**2 + 1)
    assert 0 <= beside["ece"] <= 1


def test_measures_of_several_labels_by_hand() -> None:
    """a: had by rows 0 and 1, found in 0; b: had by 1, found, and set wrongly in 2."""
    p = np.array([[0.9, 0.2], [0.4, 0.6], [0.1, 0.8], [0.1, 0.1]])
    seen, _ = judge(["a", "b|a", "", ""], ("a", "b"), p, lone(4), several=True)
    found = measures(seen, [("", "a|b"), ("", "a")])
    assert found["macro_f1"] == pytest.approx((2 / 3 + 2 / 3) / 2)
    assert found["worst_class_recall"] == 0.5
    assert found["balanced_accuracy"] == pytest.approx(((0.5 + 1) / 2 + (1 + 2 / 3) / 2) / 2)
    assert found["accuracy"] == pytest.approx(6 / 8)
    assert seen.log_loss[1] == pytest.approx(-(math.log(0.4) + math.log(0.6)) / 2)
    assert seen.brier[1] == pytest.approx((0.6**2 + 0.4**2) / 2)
    named, _ = judge(
        ["a", "a|b", "", ""], ("a", "b"), p, lone(4), several=True, decided=["a", "b", "b", ""]
    )
    assert np.array_equal(named.decided, seen.decided)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_macro_f1_is_scikit_learns(seed: int, several: bool) -> None:
    from sklearn.metrics import f1_score
    from sklearn.preprocessing import MultiLabelBinarizer

    rng = np.random.default_rng(seed)
    names = np.array(list("abcd"))
    if not several:
        truth, decided = (names[rng.integers(0, 4, 20)].tolist() for _ in range(2))
        trusted = f1_score(
            truth, decided, labels=sorted(set(truth)), average="macro", zero_division=0
        )
    else:
        truth, decided = (
            ["|".join(names[rng.random(4) < 0.4]) for _ in range(20)] for _ in range(2)
        )
        truth[0] = "a"
        coder = MultiLabelBinarizer(classes=list("abcd")).fit([])
        y, d = (
            coder.transform([row.split("|") if row else [] for row in part])
            for part in (truth, decided)
        )
        trusted = f1_score(y, d, labels=np.flatnonzero(y.sum(0)), average="macro", zero_division=0)
    assert macro_f1(truth, decided, several=several) == pytest.approx(trusted)


# ---- kept rows


@pytest.mark.parametrize("several", [False, True])
def test_kept_rows_come_back(tmp_path: Path, several: bool) -> None:
    rng = np.random.default_rng(0)
    n, names = 400, tuple(f"class {k}" for k in range(30))
    p = rng.dirichlet(np.full(30, 1.0), n)
    labels = [
        "|".join(rng.choice(names, rng.integers(0, 4), False))
        if several
        else str(rng.choice([*names, "never trained"]))
        for _ in range(n)
    ]
    rows, clusters = np.flatnonzero(rng.random(2 * n) < 0.9)[:n], rng.integers(0, n, n)
    one, _ = judge(labels, names, p, clusters, several=several, rows=rows)
    path = tmp_path / "kept.npz"
    path.write_bytes(pack({"test": one, "validation": one}))
    again = unpack(path)
    assert list(again) == ["test", "validation"]
    back = again["test"]
    assert back.classes == one.classes
    for name in ("known", "truth", "decided", "rows", "clusters"):
        assert np.array_equal(getattr(back, name), getattr(one, name)), name
    for name in ("log_loss", "brier"):
        kept, given_ = getattr(back, name), getattr(one, name)
        assert np.array_equal(np.isnan(kept), np.isnan(given_))
        usable = given_ > 1e-4  # below, float16 has fewer bits
        np.testing.assert_allclose(kept[usable], given_[usable], rtol=2**-6)
    assert np.nanmean(back.log_loss) == pytest.approx(np.nanmean(one.log_loss), rel=2e-3)


def test_kept_rows_are_small(tmp_path: Path) -> None:
    """5,500 rows of 151 classes: 1.7 MB of float16 probabilities, 40 kB kept."""
    rng = np.random.default_rng(0)
    n = 5_500
    p = rng.dirichlet(np.full(151, 0.02), n)
    names = tuple(f"intent {k}" for k in range(151))
    labels = [names[k] if rng.random() < 0.9 else names[0] for k in p.argmax(1)]
    one, _ = judge(labels, names, p, lone(n))
    assert len(pack({"test": one})) < 40_000


def test_files_of_a_unit_are_kept_and_missed(tmp_path: Path) -> None:
    ran = []

    def run(unit: Unit) -> Result:
        ran.append(unit.name)
        return Result({"n": 1}, {"npz": b"rows"})

    bench = Bench("toy", [Unit("one", {})], run, lambda unit: 1.0, folder=tmp_path)
    assert bench.main([]) == 0
    (record,) = bench.stored()
    path = Path(record["paths"]["npz"])
    assert path.read_bytes() == b"rows"
    assert "paths" not in json.loads((tmp_path / "units" / "toy" / "one.json").read_text())
    bench.main([])
    assert ran == ["one"]
    path.unlink()
    bench.main([])
    assert ran == ["one", "one"]
    without = Bench("toy", [Unit("one", {})], lambda _: {"n": 1}, lambda _: 1.0, folder=tmp_path)
    without.main(["--again", "--only", "one"])
    assert not path.exists(), "a unit's files go with it"


def test_a_unit_without_rows_is_not_taken_over(tmp_path: Path) -> None:
    unit = arms.unit_of("trec6", "tfidf", 0)

    def of(result: dict[str, Any] | Result) -> Bench:
        return Bench("toy", [unit], lambda _: result, lambda _: 1.0, folder=tmp_path)

    of({"macro_f1": 0.5}).main([])
    assert arms.taken_over(of({}), unit) is None
    of(Result({"macro_f1": 0.5}, {"npz": b"rows"})).main(["--again"])
    taken = arms.taken_over(of({}), unit)
    assert taken is not None
    assert taken.files == {"npz": b"rows"}
    assert taken.record["macro_f1"] == 0.5
    assert taken.record["ran_on"]["machine"] == json.loads(json.dumps(arms.machine()))
    assert arms.taken_over(of({}), arms.unit_of("trec6", "tfidf", 0, 100)) is None


def test_times_are_of_the_kind_of_machine_that_most_units_ran_on() -> None:
    def ran(seconds: float, cpu: str, threads: int = 2, **more: Any) -> dict[str, Any]:
        result = {"seconds": seconds}
        return {"machine": {"cpu": cpu, **more}, "threads": threads, "result": result}

    quick = [ran(1, "new"), ran(2, "new", bfloat16=True)]  # units of old said nothing of bfloat16
    slow = [ran(8, "new", bfloat16=False), ran(9, "old"), ran(7, "new", threads=1)]
    assert [result["seconds"] for result in arms.timed([*slow, *quick])] == [1, 2]
    taken = {"machine": {"cpu": "old"}, "threads": 8, "result": {"seconds": 3}}
    taken["result"]["ran_on"] = {"machine": {"cpu": "new"}, "threads": 2}
    assert [result["seconds"] for result in arms.timed([taken, *slow, *quick])] == [3, 1, 2]
    assert [result["seconds"] for result in arms.timed(slow)] == [8], "the first of several kinds"


# ---- paired differences


def test_without_a_seeds_part_the_rows_interval_stands() -> None:
    found = combined([0.02, 0.02, 0.02], 0.01, 0.05)
    assert (found.value, found.low, found.high, found.seeds) == (pytest.approx(0.02), 0.01, 0.05, 3)
    alone = combined([0.02], 0.01, 0.05)
    assert (alone.value, alone.low, alone.high, alone.seeds) == (0.02, 0.01, 0.05, 1)


def test_without_a_rows_part_it_is_students_interval_over_seeds() -> None:
    """0, 0.02, 0.04: standard error 0.02 / sqrt(3), t of 2 degrees 4.3027."""
    found = combined([0.0, 0.02, 0.04], 0.02, 0.02)
    assert found.low == pytest.approx(0.02 - 4.302653 * 0.02 / math.sqrt(3), abs=1e-6)
    assert found.high == pytest.approx(0.02 + 4.302653 * 0.02 / math.sqrt(3), abs=1e-6)


def test_one_or_two_seeds_take_their_variance_from_others_of_their_kind() -> None:
    """Three seeds 0, 0.02, 0.04 (squares 8e-4, 2 degrees) and two that agree (0, 1 degree): their
    variance is 8e-4 / 3, at the 2 degrees of three seeds, which all of them share."""
    found = pooled(
        {
            "three": combined([0.0, 0.02, 0.04], 0.02, 0.02),
            "two": combined([0.03, 0.03], 0.03, 0.03),
            "one": combined([0.05], 0.05, 0.05),
        }
    )
    assert spread_of([[0.0, 0.02, 0.04], [0.03, 0.03], [0.05]]) == Spread(
        pytest.approx(8e-4 / 3), 2
    )
    for name, seeds in (("three", 3), ("two", 2), ("one", 1)):
        half = 4.302653 * math.sqrt(8e-4 / 3 / seeds)
        assert found[name].high - found[name].value == pytest.approx(half, abs=1e-6)
    lone = combined([0.05], 0.04, 0.06)
    assert pooled({"one": lone})["one"] == lone


def test_both_parts_make_it_wider_than_either() -> None:
    rows = combined([0.02] * 3, 0.0, 0.04)
    both = combined([0.01, 0.02, 0.03], 0.0, 0.04)
    assert both.low < rows.low
    assert both.high > rows.high


def test_an_arm_does_not_differ_from_itself() -> None:
    one = judged("aaaabbbbcc" * 5, "aaabbbbacc" * 5)
    for name, found in paired_differences([one, one], [one, one], resamples=200).items():
        assert found.value == 0, name
        assert -0.03 < found.low <= 0 <= found.high < 0.03, name  # unseen rows might differ


def test_a_clear_gain_is_seen_and_turns_its_sign_with_the_arms() -> None:
    truth = "aaaabbbbcc" * 20
    good = [judged(truth, truth), judged(truth, truth[:-1] + "a")]
    poor = [judged(truth, "aaabaabbca" * 20), judged(truth, "aaabbabbca" * 20)]
    gain, loss = (paired_differences(*pair, resamples=500) for pair in ((good, poor), (poor, good)))
    for name in ("macro_f1", "balanced_accuracy", "worst_class_recall"):
        assert gain[name].low > 0, name
        assert loss[name].value == pytest.approx(-gain[name].value)
    assert gain["log_loss"].high < 0
    assert gain["brier"].seeds == 2
    by_hand = np.mean(
        [
            measures(a, [])["macro_f1"] - measures(b, [])["macro_f1"]
            for a, b in zip(good, poor, strict=True)
        ]
    )
    assert gain["macro_f1"].value == pytest.approx(by_hand)


def test_the_interval_holds_the_truth() -> None:
    """Rows of six uneven classes, three seeds: a row is as hard for both arms and all seeds, a seed
    moves every class, and both do a little of their own. 95 % is promised, too wide is allowed."""
    rng = np.random.default_rng(1)
    counts, ease = np.array([300, 100, 50, 20, 10, 6]), np.array([2.5, 2.0, 1.5, 1.0, 0.7, 0.5])

    def pairs(times: int, seeds: int) -> list[tuple[Judged, Judged]]:
        truth = np.repeat(np.arange(6), counts * times)
        hard = 1.5 * rng.normal(size=len(truth))

        def arm(gain: float) -> Judged:
            z = ease[truth] + hard + gain + 0.25 * rng.normal(size=6)[truth]
            right = z + rng.normal(size=len(truth)) > 0
            wrong = (truth + rng.integers(1, 6, len(truth))) % 6
            said = np.where(right, truth, wrong)
            at, nothing = lone(len(truth)), np.zeros(len(truth))
            known = np.ones(6, dtype=bool)
            return Judged(tuple("abcdef"), known, truth, said, at, at, nothing, nothing)

        return [(arm(0.3), arm(0.0)) for _ in range(seeds)]

    gaps = [[measures(one, [])["macro_f1"] for one in pair] for pair in pairs(100, 60)]
    true = np.mean([a - b for a, b in gaps])
    held = 0
    for _ in range(100):
        ours, theirs = zip(*pairs(1, 3), strict=True)
        found = paired_differences(ours, theirs, resamples=200)["macro_f1"]
        held += found.low <= true <= found.high
    assert held >= 91  # fewer has a chance of 2 % where 95 % is kept


def test_several_labels_are_compared_too() -> None:
    rng = np.random.default_rng(0)
    names = tuple("abcd")
    truth = rng.random((300, 4)) < [0.5, 0.2, 0.1, 0.05]
    labels = ["|".join(np.array(names)[row]) for row in truth]

    def arm(error: float) -> Judged:
        p = np.where(truth ^ (rng.random(truth.shape) < error), 0.9, 0.1)
        return judge(labels, names, p, lone(300), several=True)[0]

    found = paired_differences([arm(0.02), arm(0.02)], [arm(0.2), arm(0.2)], resamples=300)
    assert found["macro_f1"].low > 0.1
    assert found["log_loss"].high < 0
    assert found["accuracy"].value == pytest.approx(0.18, abs=0.03)


def test_arms_may_know_different_classes_and_hold_different_rows() -> None:
    """z is known to one arm only; row 3 is missing in the other."""
    mine = judged("abca", "abcz", classes="abcz")
    yours = judge(list("abc"), tuple("abc"), np.eye(3), lone(3), rows=np.array([0, 1, 2]))[0]
    found = paired_differences([mine], [yours], resamples=50)
    assert found["macro_f1"].value == 0
    with pytest.raises(ValueError, match="same rows"):
        paired_differences([judged("abc", "abc")], [judged("abb", "abb")], resamples=10)


# ---- verdicts


def unit(
    name: str, arm: str, seed: int, one: Judged, folder: Path, seconds: float = 9.0
) -> dict[str, Any]:
    path = folder / f"{name}.{arm}.{seed}.npz"
    path.write_bytes(pack({"test": one, "validation": one}))
    result = {**measures(one, []), "ece": 0.1, "seconds": 9.0}
    return {
        "name": f"{name}.{arm}.s{seed}",
        "settings": {"set": name, "arm": arm, "remedy": arm, "seed": seed},
        "paths": {"npz": str(path)},
        "machine": {"cpu": "one", "bfloat16": True},
        "threads": 2,
        "result": result,
    }


def test_quality_names_the_best_rival_and_the_bounds(tmp_path: Path) -> None:
    truth = "aaaabbbbcc" * 30
    said = dict.fromkeys(quality.ARMS, "aaabaabbca" * 30)
    said |= {"equipoise": truth, "setfit": truth[:-10] + "aaaabbbbca"}
    units = [
        unit("trec6", arm, seed, judged(truth, said[arm]), tmp_path)
        for arm in quality.ARMS
        for seed in quality.seeds_of(arm)
    ]
    summary = quality.summarise(units)
    found = summary["verdicts"]["trec6"]
    assert found["best_rival"] == "setfit"
    assert 0 < found["ours_minus_best"]["value"] < 0.01
    parts = found["ours_minus_best"]
    assert np.mean(parts["by_seed"]) == pytest.approx(parts["value"], abs=1e-5)
    assert parts["low"] <= parts["rows_alone"][0] <= parts["value"] <= parts["rows_alone"][1]
    assert found["not_much_worse"]
    assert found["better_than_every_trainer"]
    assert found["complete"]
    assert summary["sets"]["trec6"]["equipoise"]["seconds"] == 9.0
    for arm in quality.rivals_on("trec6"):
        fewer = [one for one in units if one["settings"]["arm"] != arm]
        assert not quality.summarise(fewer)["verdicts"]["trec6"]["complete"], arm
    assert summary["ours_minus"]["trec6"]["tfidf"]["macro_f1"]["low"] > 0
    assert not summary["goal_met"]
    assert summary["says"].startswith("1 of 8 sets are complete")
    assert set(summary["balanced_test_by_construction"]) <= set(arms.WORDS)
    line = quality.table(units)[0]
    assert line["equipoise"] == "1.000 (9 s)"
    json.dumps(summary, allow_nan=False)


def test_quality_without_our_arm_or_with_few_seeds_says_so(tmp_path: Path) -> None:
    one = judged("aabbcc" * 9, "aabbca" * 9)
    alone = [unit("trec6", "tfidf", 0, one, tmp_path)]
    assert quality.summarise(alone)["says"] == "nothing to compare yet"
    both = [*alone, unit("trec6", "equipoise", 0, one, tmp_path)]
    found = quality.summarise(both)["verdicts"]["trec6"]
    assert not found["complete"]
    assert not found["better_than_every_trainer"]
    assert found["ours_minus_best"]["seeds"] == 1


def test_the_goal_asks_for_all_sets_and_five_wins() -> None:
    single = [name for name in arms.WORDS if name != "goemotions_multilabel"]
    good = {"complete": True, "not_much_worse": True, "better_than_every_trainer": True}
    even = good | {"better_than_every_trainer": False}
    verdicts = {name: good if k < 5 else even for k, name in enumerate(single)}
    assert quality.goal_met(verdicts)
    assert quality.goal_met(verdicts | {"goemotions_multilabel": even | {"not_much_worse": False}})
    assert not quality.goal_met(verdicts | {single[0]: even})
    assert not quality.goal_met(verdicts | {single[7]: even | {"not_much_worse": False}})
    assert not quality.goal_met(dict.fromkeys(single[:7], good))


def test_an_arm_without_its_package_opens_no_test_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("benchmarks.arms.open_test", lambda *_, **__: pytest.fail("opened"))
    for arm in ("setfit", "smote"):
        with pytest.raises(MissingExtraError, match=r"pip install 'equipoise\[bench\]'"):
            arms.run_arm(arms.unit_of("trec6", arm, 0), by="a test")


def test_every_remedy_has_its_units() -> None:
    from equipoise.remedies.table import REMEDIES

    names = {one.settings["remedy"] for one in single_remedies.BENCH.units}
    assert names == {"plain", *REMEDIES} - {"temperature"} - set(single_remedies.left_out())
    assert len({one.name for one in single_remedies.BENCH.units}) == len(
        single_remedies.BENCH.units
    )
    assert single_remedies.remedies_of("plain") == ["temperature"]
    assert single_remedies.remedies_of("focal") == ["focal", "temperature"]
    assert single_remedies.remedies_of("isotonic_calibration") == ["isotonic_calibration"]
    assert {"costs", "deferral"} <= set(single_remedies.left_out())
    for one in single_remedies.BENCH.units:
        several = one.settings["set"] == "goemotions_multilabel"
        if one.settings["remedy"] != "plain":
            for_rows = REMEDIES[one.settings["remedy"]].labels
            assert for_rows in ("both", "several" if several else "one")


def test_single_remedies_are_summed_up_over_sets(tmp_path: Path) -> None:
    truth = "aaaabbbbcc" * 30
    plain, good = judged(truth, "aaabaabbca" * 30), judged(truth, truth)
    harmed = judged(truth, "aaabaabbca" * 30, sure=0.9999)
    units = [
        unit(name, remedy, seed, one, tmp_path)
        for remedy, one in (("plain", plain), ("focal", good), ("dull", harmed))
        for name in ("trec6", "clinc150_imbalanced", "goemotions")
        for seed in (0, 1)
    ]
    units.append(
        {
            "name": "trec6.no.s0",
            "settings": {"set": "trec6", "remedy": "no", "seed": 0},
            "result": {"refused": "it does not go"},
        }
    )
    summary = single_remedies.summarise(units)
    assert summary["refused"] == {"trec6.no.s0": "it does not go"}
    by_light, by_head = summary["remedies"]["light"], summary["remedies"]["head"]
    assert by_light["focal"]["test"]["better_on"] == ["trec6", "clinc150_imbalanced"]
    assert by_head["focal"]["test"]["better_on"] == ["goemotions"]
    assert by_light["dull"]["validation"]["mean_gain"] == 0
    found = summary["calibration"]
    assert found["compared"] == 12
    broken = {(b["remedy"], b["set"], b["measure"]) for b in found["broken"]}
    assert broken
    assert not any(remedy == "focal" for remedy, _, _ in broken)
    assert found["shown"] + found["open"] == 12 - len(broken)
    lines = [(line["method"], line["remedy"]) for line in single_remedies.table(units)]
    assert lines == [(method, name) for method in ("light", "head") for name in ("focal", "dull")]


# ---- rivals


def test_smote_fills_every_class_up_to_the_largest() -> None:
    rng = np.random.default_rng(0)
    labels = np.array(["a"] * 30 + ["b"] * 8 + ["c"] * 3 + ["d"], dtype=object)
    vectors = rng.normal(size=(42, 4)).astype(np.float32)
    filled, names = smoted(vectors, labels, 5, 0)
    assert {name: int((names == name).sum()) for name in "abcd"} == dict.fromkeys("abcd", 30)
    assert filled.shape == (120, 4)
    # One row has no neighbour to go to; between three rows nothing leaves their hull.
    assert np.array_equal(np.unique(filled[names == "d"], axis=0), vectors[-1:])
    made, given_ = filled[names == "c"], vectors[labels == "c"]
    assert (made.max(0) <= given_.max(0) + 1e-6).all()
    again = smoted(vectors, labels, 5, 0)
    assert np.array_equal(again[0], filled)


def test_class_weights_and_draws_of_the_trainer_arms() -> None:
    import torch
    from sklearn.utils.class_weight import compute_class_weight

    having = np.eye(3, dtype=np.float32)[[0, 0, 0, 0, 1, 1, 2]]
    settings_ = ONE | {"balance": "class_weights"}
    torch.manual_seed(0)
    logits, labels = torch.randn(7, 3), torch.tensor([0, 0, 0, 0, 1, 1, 2])
    loss = weighted_loss(having, settings_)
    assert loss is not None
    weights = compute_class_weight("balanced", classes=np.arange(3), y=labels.numpy())
    rows = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    weighed = torch.tensor(weights, dtype=torch.float32)[labels]
    torch.testing.assert_close(
        loss({"logits": logits}, labels), (rows * weighed).sum() / weighed.sum()
    )
    assert weighted_loss(having, ONE) is None
    draws = row_weights(having, ONE | {"balance": "sampler"})
    assert draws is not None
    np.testing.assert_allclose(draws @ having, [1, 1, 1])
    assert row_weights(having, ONE) is None


def test_class_weights_and_draws_of_several_labels() -> None:
    import torch

    having = np.array([[1, 0], [1, 1], [1, 0], [0, 0]], dtype=np.float32)
    loss = weighted_loss(having, SEVERAL | {"balance": "class_weights"})
    assert loss is not None
    # a is had by 3 of 4 (weight 1/3), b by 1 of 4 (weight 3); blank logits cost log 2 a cell.
    expected = math.log(2) * (3 * (1 / 3) + 1 + 3 + 3) / 8
    blank = loss({"logits": torch.zeros(4, 2)}, torch.tensor(having))
    assert float(blank) == pytest.approx(expected)
    draws = row_weights(having, SEVERAL | {"balance": "sampler"})
    np.testing.assert_allclose(draws, [1 / 3, 1, 1 / 3, 1 / 3])


def test_logits_become_probabilities_and_names() -> None:
    logits = np.array([[2.0, 0.0], [0.0, 1.0]])
    one = probabilities(logits, ONE)
    np.testing.assert_allclose(one.sum(1), 1)
    assert decided_names(one, ("x", "y"), ONE) == ["x", "y"]
    many = probabilities(np.array([[2.0, 1.0], [-1.0, -2.0]]), SEVERAL)
    assert decided_names(many, ("x", "y"), SEVERAL) == ["x|y", ""]
