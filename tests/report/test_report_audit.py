"""The page and the text of an audit: complete, well formed, and deaf to what texts say."""

from __future__ import annotations

import csv
import html
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from html_check import read_page

from equipoise.auditing import audit_table, check_folder, write_audit
from equipoise.costs import costs_from
from equipoise.data.look_alikes import Links, find_links
from equipoise.data.read import read_rows
from equipoise.data.table import ColumnNames
from equipoise.errors import FolderError
from equipoise.records.audit import AuditRecord, read_audit
from equipoise.report import write_report
from equipoise.report.audit_text import audit_text
from tests.cli_runner import run_cli

WORDS = [a + b + c for a in "bdfgkl" for b in "aeiou" for c in ("mon", "ritz", "sel", "tuck")]
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style></script><svg/onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;b&gt;&amp;",
]


def write_table(folder: Path, extra: str = "", classes: int = 3, rows: int = 60) -> Path:
    """A folder of train.csv and test.csv with a repeat, a conflict, a leak and an unknown label."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for part, count, month in (("train", rows, 1), ("test", rows // 2, 3)):
        last = f"2024-{month + 1:02d}-01"
        with (folder / f"{part}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["text", "label", "customer", "day"])
            for k in range(count):
                label = f"topic {k % classes}{extra}"
                text = " ".join([*map(str, rng.choice(WORDS, 12)), label])
                writer.writerow(
                    [text, label, f"{part} {k // 3}{extra}", f"2024-{month:02d}-{k % 28 + 1:02d}"]
                )
            writer.writerow([f"one and the same {extra}", f"topic 0{extra}", f"{part} x", last])
            writer.writerow([f"one and the same {extra}", f"topic 1{extra}", f"{part} x", last])
            if part == "test":
                writer.writerow(["something new", f"unseen{extra}", "test y", "2024-04-02"])
    return folder


def made(tmp_path: Path, extra: str = "", **settings: object) -> tuple[AuditRecord, Path]:
    table = read_rows(
        write_table(tmp_path / "rows", extra, **settings),  # type: ignore[arg-type]
        columns=ColumnNames(group=("customer",), time="day"),
    )
    record = audit_table(table, model="none")
    write_audit(tmp_path / "audit", record)
    return record, write_report(tmp_path / "audit")


def test_the_page_is_well_formed_and_holds_every_finding(tmp_path: Path) -> None:
    record, path = made(tmp_path)
    page = read_page(path)
    assert page.faults == []
    kinds = [finding.kind for finding in record.findings]
    assert kinds[:2] == ["leak", "unknown_labels"]
    assert {"conflict", "too_small", "duplicates"} <= set(kinds)
    for finding in record.findings:
        assert finding.says[1:] in page.text
        assert finding.do in page.text
    for advice in record.advice:
        assert advice.speaks_for in page.text
        assert advice.source in page.text
    for title in ("In short", "Findings", "What to try", "The classes", "Length and language",
                  "Groups", "Over time", "What can be judged", "How it was made"):  # fmt: skip
        assert title in page.text


def test_the_record_is_read_back_and_the_same_record_gives_the_same_bytes(tmp_path: Path) -> None:
    record, path = made(tmp_path)
    assert read_audit(path.parent) == record
    first = path.read_bytes()
    assert write_report(path.parent).read_bytes() == first


@pytest.mark.parametrize("hostile", HOSTILE)
def test_what_users_wrote_is_inert(tmp_path: Path, hostile: str) -> None:
    _, clean = made(tmp_path / "clean")
    _, path = made(tmp_path / "hostile", hostile)
    page, expected = read_page(path), read_page(clean)
    assert page.faults == []
    kinds = {tag for tag, _ in page.elements}
    assert kinds - {tag for tag, _ in expected.elements} <= {"wbr"}
    assert len(page.all("script")) == 1
    assert page.all("img") == []


def test_many_classes_stay_below_2_mb(tmp_path: Path) -> None:
    _, path = made(tmp_path, classes=151, rows=1200)
    assert path.stat().st_size < 2_000_000
    page = read_page(path)
    assert page.faults == []
    assert "left out here" not in page.text


@pytest.mark.slow
def test_two_thousand_classes_stay_below_2_mb_and_the_rarest_are_shown(tmp_path: Path) -> None:
    record, path = made(tmp_path, classes=2000, rows=2400)
    assert path.stat().st_size < 2_000_000
    page = read_page(path)
    assert page.faults == []
    left = len(record.classes) - 200
    said = f"{left:,} classes more, the most frequent, are left out here; audit.json has them all."
    assert page.text.count(said) == 4  # counts, lengths, groups, power
    assert page.text.count("unseen") > 0
    assert len(audit_text(record, path)) < 20_000


def test_landmarks_and_named_regions(tmp_path: Path) -> None:
    _, path = made(tmp_path)
    page = read_page(path)
    for landmark in ("header", "nav", "main", "footer"):
        assert len(page.all(landmark)) == 1
    for attrs in page.all("div"):
        if "scroll" in (attrs.get("class") or "").split():
            assert attrs["tabindex"] == "0"
            assert attrs["aria-labelledby"]


def test_the_text_says_every_finding_on_one_line_with_what_to_do(tmp_path: Path) -> None:
    record, path = made(tmp_path)
    lines = audit_text(record, path).splitlines()
    for finding in record.findings:
        (line,) = [line for line in lines if f" {finding.kind}: " in line]
        assert finding.says in line
        assert f"Do: {finding.do}." in line
    weights = [
        line.split()[0] for line in lines if line.split()[:1] in (["serious"], ["look"], ["note"])
    ]
    assert weights == sorted(weights, key=["serious", "look", "note"].index)
    assert any("not looked at:" in line and "--model none" in line for line in lines)


def test_texts_can_be_kept_out(tmp_path: Path) -> None:
    table = read_rows(write_table(tmp_path / "rows"))
    record = audit_table(table, model="none", keep_texts=False)
    assert "one and the same" not in str(record.to_json())
    write_audit(tmp_path / "audit", record)
    assert "one and the same" not in write_report(tmp_path / "audit").read_text(encoding="utf-8")


def test_a_broken_record_and_a_run_s_folder_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    folder.mkdir()
    (folder / "audit.json").write_text('{"schema": 1}', encoding="utf-8")
    with pytest.raises(FolderError, match="make the audit again"):
        write_report(folder)
    (folder / "run.json").write_text("{}", encoding="utf-8")
    with pytest.raises(FolderError, match="holds a run"):
        check_folder(folder)


def test_rows_that_can_not_be_divided_are_audited_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "few.csv"
    path.write_text("text,label\nalpha,a\nbeta,a\ngamma,b\n", encoding="utf-8")
    record = audit_table(read_rows(path), model="none")
    assert record.findings[0].kind == "undivided"
    assert "no rows are left for" in record.findings[0].says
    assert record.roles == {"train": 3}
    assert record.power is None


def test_rows_without_a_training_part_are_taken_as_if_to_train(tmp_path: Path) -> None:
    folder = write_table(tmp_path / "rows")
    (folder / "train.csv").unlink()
    record = audit_table(read_rows(folder), model="none")
    assert record.findings[0].kind == "undivided"
    assert record.roles == {"train": 33}
    assert record.balance.ratio > 1


def one_file(
    path: Path, labels: str = "ab", extra: str = "", rows: int = 60, seed: int = 0
) -> Path:
    """Rows of random words, of each label as many, with one further cell."""
    rng = np.random.default_rng(seed)
    lines = [f"text,label,{extra.partition('=')[0]}" if extra else "text,label"]
    for k in range(rows):
        cells = [" ".join(rng.choice(WORDS, 12)), labels[k % len(labels)]]
        lines.append(",".join(cells + ([extra.partition("=")[2]] if extra else [])))
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_balanced_rows_are_told_to_calibrate_and_that_they_are_balanced(tmp_path: Path) -> None:
    record = audit_table(read_rows(one_file(tmp_path / "rows.csv", rows=400)), model="none")
    first = record.advice[0]
    assert (first.stance, first.remedy, first.option) == (
        "try first",
        "none",
        "--remedy temperature",
    )
    page = write_to(tmp_path / "audit", record)
    said = audit_text(record, page)
    assert f"2 classes, {1.0:.1f} : 1; " in said
    assert "from a to a" not in said + page.read_text(encoding="utf-8")
    assert "a to a" not in read_page(page).text


def test_one_group_makes_no_twins_of_its_rows(tmp_path: Path) -> None:
    path = one_file(tmp_path / "rows.csv", labels="aaab", extra="who=ada", rows=400)
    record = audit_table(read_rows(path, columns=ColumnNames(group=("who",))), model="none")
    (found,) = [a for a in record.advice if a.remedy == "redundancy_undersample"]
    assert found.stance == "not here"
    assert found.speaks_against.startswith("only 0 % of the rows of 'a' have a near twin")


def write_to(folder: Path, record: AuditRecord) -> Path:
    write_audit(folder, record)
    return write_report(folder)


def test_one_time_for_all_rows_is_said_to_tell_no_drift(tmp_path: Path) -> None:
    path = one_file(tmp_path / "rows.csv", extra="day=2024-05-01")
    record = audit_table(read_rows(path, columns=ColumnNames(time="day")), model="none")
    assert record.drift is None
    (skipped,) = [skipped for skipped in record.skipped if skipped.what == "drift"]
    assert skipped.why == "all rows have one time in 'day'"
    assert not [s for s in made(tmp_path)[0].skipped if s.what == "drift"]


def test_amounts_of_judged_rows_have_no_say_in_what_mistakes_cost(tmp_path: Path) -> None:
    costs = costs_from({"costs": {"a": {"b": {"times": "amount"}}, "b": {"a": 5}}})
    said = []
    for amount in (100, 1_000_000):
        folder = tmp_path / str(amount)
        folder.mkdir()
        one_file(folder / "train.csv", extra="amount=1000")
        one_file(folder / "test.csv", extra=f"amount={amount}", seed=1)
        table = read_rows(folder, columns=ColumnNames(cost="amount"))
        record = audit_table(table, model="none", costs=costs)
        said += [advice.speaks_for for advice in record.advice if advice.remedy == "costs"]
    assert said[0] == said[1]
    assert "costs 200 times the cheapest" in said[0]


def test_look_alikes_are_looked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def counted(texts: Sequence[str], **settings: Any) -> Links:
        asked.append(len(texts))
        return find_links(texts, **settings)

    for module in ("equipoise.data.duplicates", "equipoise.audit.repeats"):
        monkeypatch.setattr(f"{module}.find_links", counted)
    record, _ = made(tmp_path)
    assert len(asked) == 1
    assert record.repeats.repeated == 3


def test_the_command_on_the_page_makes_the_same_audit(tmp_path: Path) -> None:
    rows = one_file(tmp_path / "rows.csv", extra="who=ada")
    costs = tmp_path / "costs.yaml"
    costs.write_text("costs:\n  a: {b: 5}\n", encoding="utf-8")
    options = [rows, "--costs", costs, "--encoding", "latin-1", "--no-texts", "--model", "none"]
    done = run_cli("audit", *options, "--out", tmp_path / "audit", "--quiet")
    assert done.code == 0, done.stderr
    page = (tmp_path / "audit" / "report.html").read_text(encoding="utf-8")
    (shown,) = re.findall(r"equipoise (audit [^<]*)</code></pre>", page)
    words = shlex.split(html.unescape(shown))
    words[words.index("--out") + 1] = str(tmp_path / "again")
    assert run_cli(*words, "--quiet").code == 0
    one, two = (read_audit(tmp_path / name).to_json() for name in ("audit", "again"))
    for record in (one, two):
        del record["created"], record["seconds"]
    assert one == two
    assert (one["costs"], one["encoding"], one["keep_texts"]) == (str(costs), "latin-1", False)


def test_what_train_can_be_asked_is_named_as_train_takes_it(tmp_path: Path) -> None:
    folder = tmp_path / "rows"
    folder.mkdir()
    for part in ("train", "test"):
        one_file(folder / f"{part}.csv")
    record = audit_table(read_rows(folder), model="none")
    assert record.findings[0].kind == "undivided"
    assert "equipoise train --set split.keep_crossing=true" in record.findings[0].says


def test_ids_of_all_parts_keep_their_own_roles(tmp_path: Path) -> None:
    record, _ = made(tmp_path)
    assert record.rows == {"train": 62, "test": 33}
    assert record.roles["test"] == 33
    assert sum(record.roles.values()) < 95  # training rows tied to test rows are left out
