"""The benchmark harness: prices first, stores each unit, resumes, says when it is partial."""

from __future__ import annotations

import ast
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # benchmarks/ is run from the root and is not installed

from benchmarks import figures, speed  # noqa: E402
from benchmarks.arms import read_history  # noqa: E402
from benchmarks.common import Bench, Unit, run_child, stratified_cap  # noqa: E402
from benchmarks.sets import (  # noqa: E402
    TextSet,
    choosing_set,
    data_folder,
    load_set,
    open_folder,
    open_test,
    openings,
    write_set,
)
from equipoise.errors import FolderError  # noqa: E402

NAMES = ("one", "two", "three")


class Counted:
    """A unit runner that counts, and fails or interrupts where told."""

    def __init__(self, **trouble: BaseException) -> None:
        self.ran: list[str] = []
        self.trouble = trouble

    def __call__(self, unit: Unit) -> dict[str, Any]:
        self.ran.append(unit.name)
        if unit.name in self.trouble:
            raise self.trouble[unit.name]
        return {"square": unit.settings["n"] ** 2}


def bench(folder: Path, run: Counted, **changes: Any) -> Bench:
    given: dict[str, Any] = {
        "units": [Unit(name, {"n": n, "rate": (1, 2)}) for n, name in enumerate(NAMES)],
        "price_seconds": lambda unit: 60.0,
        "summarise": lambda units: {"total": sum(u["result"]["square"] for u in units)},
    }
    return Bench("toy", run=run, folder=folder, **(given | changes))


def result(folder: Path) -> dict[str, Any]:
    (path,) = (folder / "results").glob("toy-*.json")
    return json.loads(path.read_text())


def test_price_comes_first_and_everything_is_written(tmp_path: Path, capsys: Any) -> None:
    run = Counted()
    assert bench(tmp_path, run).main([]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "toy: 3 units to run of 3 chosen and 3 in all, about 3 min"
    record = result(tmp_path)
    assert record["complete"] is True
    assert record["schema"] == 1
    assert record["summary"] == {"total": 5}
    assert [unit["name"] for unit in record["units"]] == list(NAMES)
    assert {"cores", "cpu", "memory_gib", "python", "torch"} <= set(record["machine"])


def test_stored_units_are_not_run_again(tmp_path: Path, capsys: Any) -> None:
    assert bench(tmp_path, Counted()).main(["--limit", "2"]) == 0
    assert "PARTIAL: 2 of 3" in capsys.readouterr().out
    assert result(tmp_path)["complete"] is False
    run = Counted()
    assert bench(tmp_path, run).main([]) == 0
    assert run.ran == ["three"]
    assert result(tmp_path)["complete"] is True


@pytest.mark.parametrize(
    ("changes", "again"),
    [
        ({}, []),
        ({"version": 2}, list(NAMES)),
        ({"units": [Unit("one", {"n": 7}), Unit("two", {"n": 1, "rate": [1, 2]})]}, ["one"]),
    ],
)
def test_changed_settings_or_version_run_again(
    tmp_path: Path, changes: dict[str, Any], again: list[str]
) -> None:
    bench(tmp_path, Counted()).main([])
    run = Counted()
    bench(tmp_path, run, **changes).main([])
    assert run.ran == again


def test_again_forgets_only_the_chosen(tmp_path: Path) -> None:
    bench(tmp_path, Counted()).main([])
    run = Counted()
    bench(tmp_path, run).main(["--again", "--only", "t*"])
    assert run.ran == ["two", "three"]


@pytest.mark.parametrize(("more", "left"), [(["--list"], []), (["--limit", "1"], ["one"])])
def test_again_forgets_only_what_it_runs(tmp_path: Path, more: list[str], left: list[str]) -> None:
    bench(tmp_path, Counted()).main([])
    run = Counted()
    bench(tmp_path, run).main(["--again", *more])
    assert run.ran == left
    later = Counted()
    bench(tmp_path, later).main([])
    assert later.ran == []


def test_interrupt_keeps_what_is_finished(tmp_path: Path, capsys: Any) -> None:
    assert bench(tmp_path, Counted(two=KeyboardInterrupt())).main([]) == 130
    assert "PARTIAL: 1 of 3" in capsys.readouterr().out
    run = Counted()
    bench(tmp_path, run).main([])
    assert run.ran == ["two", "three"]


def test_a_failing_unit_is_named_and_the_others_run(tmp_path: Path, capsys: Any) -> None:
    run = Counted(two=RuntimeError("no luck"))
    assert bench(tmp_path, run).main([]) == 1
    assert run.ran == list(NAMES)
    assert "FAILED two: RuntimeError: no luck" in capsys.readouterr().out
    assert [unit["name"] for unit in result(tmp_path)["units"]] == ["one", "three"]


def test_a_half_written_unit_runs_again(tmp_path: Path) -> None:
    bench(tmp_path, Counted()).main([])
    (tmp_path / "units" / "toy" / "one.json").write_text('{"schema": 1, "ver')
    run = Counted()
    bench(tmp_path, run).main([])
    assert run.ran == ["one"]


def test_list_and_time_limit(tmp_path: Path, capsys: Any) -> None:
    run = Counted()
    assert bench(tmp_path, run).main(["--list", "--only", "one|two"]) == 0
    assert "2 units to run of 2 chosen" in capsys.readouterr().out
    assert bench(tmp_path, run).main(["--seconds", "-1"]) == 0
    assert run.ran == []
    assert not (tmp_path / "results").exists()
    assert bench(tmp_path, run).main(["--only", "nothing"]) == 2


def test_a_child_is_measured_by_itself() -> None:
    """60 MB of the child's own are seen; the 200 MB that this process holds are not."""
    held = bytearray(200_000_000)
    code = "import json; x = b'1' * 60_000_000; print('note'); print(json.dumps({'n': len(x)}))"
    child = run_child([sys.executable, "-c", code])
    assert child.record == {"n": 60_000_000}
    assert 60e6 < child.peak_rss < 150e6
    assert child.cpu_seconds > 0
    assert 0 < child.seconds < 60
    assert len(held) == 200_000_000


def test_a_failing_child_says_why() -> None:
    with pytest.raises(RuntimeError, match=r"ended with 3: (?s:.)*boom"):
        run_child([sys.executable, "-c", "import sys; print('boom', file=sys.stderr); sys.exit(3)"])


def test_cap_keeps_every_class_its_share_and_the_order() -> None:
    """Shares of 20 are 18, 1.8 and 0.2; c is given its one row before b gets its remainder."""
    rows = [(str(k), "a" if k < 90 else "b" if k < 99 else "c") for k in range(100)]
    kept = stratified_cap(rows, 20, 0)
    assert Counter(label for _, label in kept) == {"a": 18, "b": 1, "c": 1}
    assert [int(text) for text, _ in kept] == sorted(int(text) for text, _ in kept)
    assert stratified_cap(rows, 20, 0) == kept
    assert stratified_cap(rows, 20, 1) != kept
    assert len(stratified_cap(rows, 2, 0)) == 3
    assert stratified_cap(rows, 100, 0) is rows


def test_sets_are_read_where_the_variable_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path / "gone"))
    with pytest.raises(FolderError, match="EQUIPOISE_DATA"):
        data_folder()
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "train.csv").write_text('text,label\n"a\nb",x\nc,y\n')
    assert load_set("toy").train == [("a\nb", "x"), ("c", "y")]
    assert load_set("toy").validation == []
    with pytest.raises(FolderError, match=r"train\.csv"):
        load_set("other")


def test_test_rows_come_out_of_one_door_that_writes_it_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))
    for name in ("toy", "other"):
        rows = TextSet([("t", "x")], [("v", "x"), ("w", "y")], [(str(k), "x") for k in range(9)])
        write_set(tmp_path / name, rows)
    ledger = tmp_path / "openings.jsonl"
    assert not hasattr(load_set("toy"), "test")
    assert choosing_set("toy") == ([("t", "x")], [], [("v", "x"), ("w", "y")])
    assert not ledger.exists()
    assert len(open_test("toy", by="bench a", ledger=ledger)) == 9
    few = open_test("toy", by="bench b", cap_rows=4, ledger=ledger)
    assert few == open_test("toy", by="bench b", cap_rows=4, ledger=ledger)
    open_test("other", by="bench c", ledger=ledger)
    lines = [json.loads(line) for line in ledger.read_text().splitlines()]
    assert [(line["set"], line["by"], line["rows"], line["count"]) for line in lines] == [
        ("toy", "bench a", 9, 1),
        ("toy", "bench b", 4, 2),
        ("toy", "bench b", 4, 3),
        ("other", "bench c", 9, 1),
    ]
    assert all({"date", "commit", "changed"} <= set(line) for line in lines)
    assert openings(ledger) == {"toy": 3, "other": 1}
    assert open_folder("toy", by="bench d", ledger=ledger) == tmp_path / "toy"
    assert openings(ledger)["toy"] == 4


def test_no_benchmark_finds_the_sets_by_itself() -> None:
    """Where the sets lie is known to the module with the one door to their test rows, no other."""
    for path in (ROOT / "benchmarks").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        assert path.name == "sets.py" or "data_folder" not in names, (
            f"{path.name}: take rows from load_set or open_test, or a whole set from open_folder"
        )


def arm(*evaluations: tuple[float, float], **more: float) -> dict[str, Any]:
    """(macro_f1, seconds) of each evaluation; each took 2 s."""
    lines = [{"macro_f1": f, "seconds": s, "spent_judging": 2.0} for f, s in evaluations]
    return {"evaluations": lines, "macro_f1": 0.5, "cpu_seconds": 100.0, "seconds": 300.0, **more}


def test_history_is_read_with_the_start_up(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    lines = [
        {"seconds": 3.0, "step": 5, "epoch": 0.5, "loss": 1.0},
        {"seconds": 7.25, "step": 10, "epoch": 1.0, "measures": {"macro_f1": 0.5, "mcc": 0.1}},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert read_history(path, 2.0) == [{"epoch": 1.0, "step": 10, "macro_f1": 0.5, "seconds": 9.25}]


def test_speed_is_time_to_the_rivals_best() -> None:
    ours = {
        "validation_macro_f1": 0.9,
        "stages": {"training": 20.0},
        "start_up_seconds": 4.0,
        "cpu_seconds": 50.0,
    }
    arms = {
        "trainer_plain": arm((0.5, 50), (0.7, 100)),
        "trainer_early": arm((0.5, 52), (0.7, 110), (0.6, 170)),
        "equipoise": arm((0.6, 15), (0.75, 20), **ours),
    }
    line = speed.compare(arms)
    # The plain Trainer got there at 100 s, less the 2 s of the validation before.
    assert (line["target"], line["by"], line["rival_seconds"]) == (0.7, "trainer_plain", 98)
    assert line["ratio"] == 4.9
    assert speed.ten_times("toy", line) == (
        "toy: 10 times is 10 s, now 20 s: asks for 10 s less (stages: start-up 4 s, training 20 s)"
    )
    # Never in training but in the end by its decision rule: the whole run counts.
    arms["equipoise"] = arm((0.6, 15), **ours, seconds=49.0)
    assert speed.compare(arms)["ratio"] == 2.0
    arms["equipoise"] = arm((0.6, 15), **(ours | {"validation_macro_f1": 0.65}))
    assert speed.compare(arms)["ratio"] is None


def test_the_figures_shown_are_those_of_the_results() -> None:
    for shown, made in ((figures.PAGE, figures.page()), (figures.README, figures.readme())):
        assert shown.read_text(encoding="utf-8") == made, "run: python -m benchmarks.figures"
