"""Warnings never stop; what they say is right. (Errors: test_malformed.)"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from equipoise.data import ColumnNames, check_rows, read_rows
from equipoise.data.raw import listing
from equipoise.errors import DataError


def warnings(folder: Path, **files: str) -> list[str]:
    for name, content in files.items():
        (folder / f"{name}.csv").write_text(f"text,label\n{content}", encoding="utf-8")
    source = folder if len(files) > 1 else folder / f"{next(iter(files))}.csv"
    return check_rows(read_rows(source))


def test_good_rows_are_silent(tmp_path: Path) -> None:
    assert warnings(tmp_path, a="".join(f"t{n},{'xy'[n % 2]}\n" for n in range(8))) == []


def test_labels_that_look_alike(tmp_path: Path) -> None:
    said = warnings(tmp_path, a="a,Spam\nb,spam\nc,spam \nd,ham\ne,ＨＡＭ\nf,other\n")
    alike = [line for line in said if "differ only by case or spaces" in line]
    assert len(alike) == 2
    assert "'Spam' and 'spam' and 'spam '" in alike[0]
    assert "'ham' and 'ＨＡＭ'" in alike[1]


def test_numbers_with_and_without_a_point(tmp_path: Path) -> None:
    """Text is taken as it is, so what pandas wrote of a column with a missing cell is another
    class, and another group, than the same number elsewhere."""
    columns = ColumnNames(group=("who", "where"))
    for part, ending in (("train", ".0"), ("test", "")):
        rows = [f"{part} {n},{n % 2}{ending},{n}{ending},York,k{part}{n}.0" for n in range(8)]
        content = "\n".join(["text,label,who,where,id", *rows])
        (tmp_path / f"{part}.csv").write_text(content, encoding="utf-8")
    said = [line for line in check_rows(read_rows(tmp_path, columns=columns)) if "a point" in line]
    assert [line.split(" are written")[0] for line in said] == [
        "labels '0' and '0.0', '1' and '1.0'",
        "groups " + ", ".join(f"'{n} | York' and '{n}.0 | York'" for n in range(8)),
    ]
    assert "count as different classes; write them alike if they are one" in said[0]
    alone = warnings(tmp_path, alone="".join(f"t{n},{n % 2}.0\n" for n in range(8)))
    assert alone == [], "nothing to confuse them with"


def test_classes_with_too_few_rows(tmp_path: Path) -> None:
    (said,) = warnings(tmp_path, a="a,x\nb,x\nc,x\nd,y\ne,y\nf,z\n")
    assert "'y' (2), 'z' (1)" in said
    assert "'x'" not in said


def test_labels_that_training_or_test_lacks(tmp_path: Path) -> None:
    said = warnings(tmp_path, train="a,x\nb,y\n", test="c,x\nd,new\ne,new\n")
    assert said[0].startswith("test holds labels that training lacks: 'new' (2 rows)")
    assert said[1].startswith("test holds no row of 'y'")


def test_texts_with_two_labels(tmp_path: Path) -> None:
    said = warnings(tmp_path, train="Hello there,x\nb,y\nc,z\nc,z\n", test="hello  THERE,y\n")
    conflict = [line for line in said if "different labels" in line]
    assert conflict == [
        "1 text occurs under different labels (2 rows), such as 'Hello there' as 'x' and 'y'"
    ]


def test_texts_with_two_labels_may_be_named_by_their_ids(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text("text,label\nHello there,x\nb,y\nc,z\nhello  THERE,y\n", encoding="utf-8")
    only = "1 text occurs under different labels (2 rows), such as rows "
    (said, _) = sorted(check_rows(read_rows(path), keep_texts=False))
    assert said == only + "1, 4 as 'x' and 'y'"
    (tmp_path / "test.csv").write_text("text,label\nc,x\nb,y\ne,z\n", encoding="utf-8")
    (said,) = check_rows(read_rows(tmp_path), keep_texts=False)
    shown = "rows train-1, train-4 as 'x' and 'y'; rows train-3, test-1 as 'x' and 'z'"
    assert said == f"2 texts occur under different labels (4 rows), such as {shown}"


def test_ids_of_two_parts(tmp_path: Path) -> None:
    for part, id_, label in (("train", "1", "x"), ("test", "1", "y")):
        (tmp_path / f"{part}.csv").write_text(
            f"id,text,label\n{id_},{part} a,{label}\n2{part},{part} b,{'xy'[label == 'x']}\n"
        )
    (said,) = check_rows(read_rows(tmp_path))
    assert said.startswith("1 ids occur both in train and in test")


def test_faults_name_their_part(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        warnings(tmp_path, train="a,x\nb,y\n", test=",x\n")
    assert "(test): empty text in row 1" in caught.value.faults[0]


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ([3], "row 3"),
        ([3, 7], "rows 3, 7"),
        (list(range(1, 11)), "rows 1, 2, 3, 4, 5, 6, 7, 8, 9, 10"),
        (list(range(1, 1012)), "rows 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 (and 1,001 more)"),
    ],
)
def test_listing(numbers: list[int], said: str) -> None:
    assert listing(numbers) == said


@pytest.mark.parametrize(
    ("cells", "what"),
    [
        ('"prompt": "x", "completion": "y"', "a prompt in row 2"),
        ('"messages": [{"role": "user", "content": "x"}]', "a message in row 2"),
    ],
)
def test_rows_of_two_kinds_are_told(tmp_path: Path, cells: str, what: str) -> None:
    path = tmp_path / "rows.jsonl"
    lines = ['{"text": "one", "label": "a"}', f"{{{cells}}}", '{"text": "two", "label": "b"}']
    path.write_text("\n".join(lines))
    with pytest.raises(DataError) as caught:
        check_rows(read_rows(path))
    assert f"rows of two kinds are mixed: there is {what}" in caught.value.faults[0]


@pytest.mark.parametrize("cell", [r"Ada\ud83d", r"Ada\u0000"])
def test_groups_are_looked_at_like_other_names(tmp_path: Path, cell: str) -> None:
    path = tmp_path / "rows.jsonl"
    whos = (cell, "", " ", "Bo")
    lines = [f'{{"text": "t{n}", "label": "{n % 2}", "who": "{w}"}}' for n, w in enumerate(whos)]
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        check_rows(read_rows(path, columns=ColumnNames(group=("who",))))
    (said,) = caught.value.faults
    assert ": group with " in said
    assert "in row 1;" in said


def test_rows_that_are_only_judged_may_be_of_one_class(tmp_path: Path) -> None:
    for part in ("train", "test"):
        (tmp_path / f"{part}.csv").write_text(f"id,text,label\n1,{part},x\n", encoding="utf-8")
    table = read_rows(tmp_path)
    check_rows(table, trains=False)
    with pytest.raises(DataError, match="the training rows hold one class"):
        check_rows(table)
    assert table.joined().ids.tolist() == ["1", "1"], "predict tells their parts beside"
    assert table.joined(ids_apart=True).ids.tolist() == ["train-1", "test-1"]
    only = replace(table, parts={"test": table.parts["test"]})
    assert only.joined(ids_apart=True).ids.tolist() == ["1"]
