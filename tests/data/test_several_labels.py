"""Rows with several labels: read, checked, grouped and divided."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.data import ColumnNames, check_rows, folds, read_rows, split_table
from equipoise.data.memberships import memberships, rarest_labels
from equipoise.errors import DataError, SettingsError
from equipoise.records.rows import Rows, indicators, text_column

BAR = ColumnNames(label_separator="|")
GOOD = "text,label\nso glad,joy\nglad and amazed,surprise|joy\nit is a table,\nhow sad,sadness\n"


def write(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


def lines(path: Path, labels: list[Any]) -> Path:
    rows = [{"text": f"text number {n}", "label": label} for n, label in enumerate(labels)]
    return write(path, "\n".join(map(json.dumps, rows)) + "\n")


def faults_of(source: Path, columns: ColumnNames = BAR) -> str:
    with pytest.raises(DataError) as raised:
        check_rows(read_rows(source, columns=columns))
    return "\n".join(raised.value.faults)


class TestReading:
    def test_a_separator_makes_sorted_tuples_and_an_empty_cell_none(self, tmp_path: Path) -> None:
        table = read_rows(write(tmp_path / "a.csv", GOOD), columns=BAR)
        labels = table.parts["all"].labels
        assert labels is not None
        assert labels.tolist() == [("joy",), ("joy", "surprise"), (), ("sadness",)]
        assert table.parts["all"].several
        assert table.parts["all"].counts() == {"joy": 2, "sadness": 1, "surprise": 1}
        assert table.columns["label_separator"] == "|"

    def test_without_one_the_cell_is_one_label(self, tmp_path: Path) -> None:
        rows = read_rows(write(tmp_path / "a.csv", GOOD)).parts["all"]
        assert not rows.several
        assert rows.counts()["surprise|joy"] == 1

    def test_lists_need_no_separator(self, tmp_path: Path) -> None:
        table = read_rows(lines(tmp_path / "a.jsonl", [["b", "a"], [], None, [1, True]]))
        labels = table.parts["all"].labels
        assert labels is not None
        assert labels.tolist() == [("a", "b"), (), (), ("1", "true")]

    def test_a_list_among_texts_stays_a_slip(self, tmp_path: Path) -> None:
        found = faults_of(lines(tmp_path / "a.jsonl", ["a", "b", ["a", "b"]]), ColumnNames())
        assert "row 3 holds a list" in found
        assert "a list in every row if a row may have several" in found

    def test_class_numbers_in_lists_become_names(self, tmp_path: Path) -> None:
        feature = {"feature": {"names": ["joy", "love"], "_type": "ClassLabel"}, "_type": "List"}
        stored = json.dumps({"info": {"features": {"label": feature}}})
        columns = {"text": ["a", "b", "c"], "label": [[1], [0, 1], []]}
        table = pa.table(columns).replace_schema_metadata({"huggingface": stored})
        pq.write_table(table, tmp_path / "a.parquet")
        labels = read_rows(tmp_path / "a.parquet").parts["all"].labels
        assert labels is not None
        assert labels.tolist() == [("love",), ("joy", "love"), ()]

    def test_the_same_rows_in_two_forms_are_the_same_labels(self, tmp_path: Path) -> None:
        one = read_rows(write(tmp_path / "a.csv", "text,label\nx,a|b\ny,b\n"), columns=BAR)
        other = write(tmp_path / "a.jsonl", '{"text":"x","label":["b","a"]}\n')
        with other.open("a", encoding="utf-8") as file:
            file.write('{"text":"y","label":["b"]}\n')
        assert one.fingerprint == read_rows(other).fingerprint

    def test_a_label_set_is_not_the_name_that_spells_it(self, tmp_path: Path) -> None:
        one = read_rows(lines(tmp_path / "a.jsonl", [["a", "b"], ["a"]]))
        other = read_rows(lines(tmp_path / "b.jsonl", [["a, b"], ["a"]]))
        assert one.fingerprint != other.fingerprint

    def test_a_blank_separator_is_refused(self) -> None:
        with pytest.raises(SettingsError, match="label-separator"):
            ColumnNames(label_separator=" ")


class TestChecking:
    def test_an_empty_name_is_an_error_with_its_rows(self, tmp_path: Path) -> None:
        found = faults_of(write(tmp_path / "a.csv", GOOD + "a,joy||love\nb,|joy\n"))
        assert "rows 5, 6 name an empty label ('||', or one at an end)" in found

    def test_what_is_no_name_is_an_error(self, tmp_path: Path) -> None:
        found = faults_of(lines(tmp_path / "a.jsonl", [["a"], [["b"]], ["c", {"d": 1}]]))
        assert "rows 2, 3 hold a list where a label should be" in found

    def test_null_bytes_are_found_within_a_tuple(self, tmp_path: Path) -> None:
        assert "label with a null byte in row 2" in faults_of(
            lines(tmp_path / "a.jsonl", [["a"], ["b", "c\0"], []]), ColumnNames()
        )

    @pytest.mark.parametrize("labels", [[[], [], []], [["a"], ["a"]], [["a", "b"], ["b", "a"]]])
    def test_rows_that_do_not_differ_are_an_error(self, tmp_path: Path, labels: list[Any]) -> None:
        assert "nothing to tell apart" in faults_of(lines(tmp_path / "a.jsonl", labels))

    def test_one_label_that_some_rows_lack_is_enough(self, tmp_path: Path) -> None:
        said = check_rows(read_rows(lines(tmp_path / "a.jsonl", [["a"], [], ["a"], ["a"]])))
        assert said == [
            f"{tmp_path / 'a.jsonl'}: 1 of 4 rows have no label (row 2); "
            "they count as rows of none of the labels"
        ]

    def test_warnings(self, tmp_path: Path) -> None:
        content = "text,label\na,x|x\nb,x|y\nB,y\nc,x\nd,X\ne,\n"
        said = "\n".join(check_rows(read_rows(write(tmp_path / "a.csv", content), columns=BAR)))
        assert "a label is named twice in row 1; it counts once" in said
        assert "1 of 6 rows have no label (row 6)" in said
        assert "'X' and 'x' differ only by case" in said
        assert "'X' (1), 'y' (2)" in said
        assert "such as 'b' as 'x + y' and 'y'" in said

    def test_labels_that_training_lacks(self, tmp_path: Path) -> None:
        write(tmp_path / "train.csv", "text,label\na,x\nb,y|x\nc,\n")
        write(tmp_path / "test.csv", "text,label\nd,x|new\ne,x\n")
        said = "\n".join(check_rows(read_rows(tmp_path, columns=BAR)))
        assert "test holds labels that training lacks: 'new' (1 rows)" in said
        assert "test holds no row of 'y'" in said

    def test_a_separator_that_never_occurs_is_said(self, tmp_path: Path) -> None:
        table = read_rows(write(tmp_path / "a.csv", GOOD), columns=ColumnNames(label_separator=";"))
        assert "no row has two labels: ';'" in check_rows(table)[0]


class TestDividing:
    def test_pairs_and_rarest_labels(self) -> None:
        labels = [("a", "b"), ("a",), (), ("a", "c"), ("c",), ("c",)]
        rows, names = memberships(labels)
        assert rows.tolist() == [0, 0, 1, 2, 3, 3, 4, 5]
        assert names == ["a", "b", "a", "", "a", "c", "c", "c"]
        # a and c have three rows each: the first by name stands for row 3.
        assert rarest_labels(labels) == ["b", "a", "", "a", "c", "c"]
        assert memberships(["x", "y"])[1] == ["x", "y"]

    def test_indicators(self) -> None:
        found = indicators(text_column([("a", "c"), (), ("z",)]), ("a", "b", "c"))
        assert found.tolist() == [[1, 0, 1], [0, 0, 0], [0, 0, 0]]

    def test_every_part_gets_its_share_of_every_label(self, tmp_path: Path) -> None:
        labels = made(np.random.default_rng(0), rows=600, labels=12)
        splits = split_table(read_rows(lines(tmp_path / "a.jsonl", labels)), seed=1)
        assert splits.test is not None
        parts = [splits.train, splits.validation, splits.test]
        assert sum(map(len, parts)) == 600
        whole: dict[str, int] = defaultdict(int)
        for part in parts:
            for name, n in part.counts().items():
                whole[name] += n
        for part, share in zip(parts, (0.7, 0.15, 0.15), strict=True):
            assert abs(len(part) / 600 - share) < 0.02
            for name, n in whole.items():
                assert abs(part.counts().get(name, 0) - share * n) <= max(3, 0.05 * n), name

    @settings(max_examples=25, deadline=None)
    @given(st.integers(0, 10**6))
    def test_a_label_with_three_clusters_is_in_every_fold_of_three(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        labels = made(rng, rows=int(rng.integers(20, 200)), labels=int(rng.integers(2, 20)))
        cells = text_column([tuple(sorted(cell)) for cell in labels])
        clusters = np.arange(len(cells)) // int(rng.integers(1, 3))
        fold = folds(cells, clusters, 3, seed)
        for cluster in np.unique(clusters):
            assert len(set(fold[clusters == cluster].tolist())) == 1
        rows, names = memberships(cells.tolist())
        for name in set(names):
            own = rows[[n == name for n in names]]
            if len(own) >= 30:
                assert len(set(fold[own].tolist())) == 3, name

    @settings(max_examples=25, deadline=None)
    @given(st.integers(0, 10**6))
    def test_rare_labels_are_on_every_side_where_they_can_be(self, seed: int) -> None:
        from equipoise.data.split import _hold_out

        rng = np.random.default_rng(seed)
        labels = made(rng, rows=int(rng.integers(40, 300)), labels=int(rng.integers(2, 25)))
        n = len(labels)
        rows = Rows(
            ids=text_column([str(k) for k in range(n)]),
            texts=text_column([str(k) for k in range(n)]),
            labels=text_column([tuple(sorted(cell)) for cell in labels]),
            clusters=np.arange(n) // int(rng.integers(1, 3)),
        )
        parts = _hold_out(rows, {"validation": 0.15, "test": 0.15}, seed)
        tied = [set(part.clusters.tolist()) for part in parts.values() if part.clusters is not None]
        assert not tied[0] & tied[1] | tied[0] & tied[2] | tied[1] & tied[2]
        assert rows.labels is not None
        assert rows.clusters is not None
        held: dict[int, set[str]] = {}
        for cell, cluster in zip(rows.labels, rows.clusters.tolist(), strict=True):
            held.setdefault(cluster, set()).update(cell)
        clusters = Counter(name for names in held.values() for name in names)
        for name in rows.counts():
            own = [names for names in held.values() if name in names]
            # A cluster with a label that no other has is one that only training can have.
            free = sum(all(clusters[other] > 1 for other in names) for names in own)
            present = [name in part.counts() for part in parts.values()]
            assert present[0], "every label is trained on"
            # A label with fewer free clusters may miss a part, where they hold other rare labels
            # that have no other cluster there. From four on none did.
            if free >= 4:
                assert all(present), (name, len(own), free, present)

    def test_groups_stay_together(self, tmp_path: Path) -> None:
        labels = made(np.random.default_rng(3), rows=120, labels=6)
        path = tmp_path / "a.jsonl"
        rows = [
            {"text": f"text number {n}", "label": label, "who": f"c{n // 4}"}
            for n, label in enumerate(labels)
        ]
        write(path, "\n".join(map(json.dumps, rows)) + "\n")
        splits = split_table(read_rows(path, columns=ColumnNames(group=("who",))))
        assert splits.test is not None
        seen = [
            set(part.groups.tolist())
            for part in (splits.train, splits.validation, splits.test)
            if part.groups is not None
        ]
        assert not seen[0] & seen[1] | seen[0] & seen[2] | seen[1] & seen[2]


def made(rng: np.random.Generator, *, rows: int, labels: int) -> list[list[str]]:
    """Label sets with a long tail: Zipf shares, 0 to about 4 labels a row."""
    share = 1 / np.arange(1, labels + 1) ** 1.5
    share /= share.sum()
    sizes = rng.poisson(1.4, size=rows)
    sizes[0] = max(sizes[0], 1)
    return [
        sorted({f"l{k}" for k in rng.choice(labels, size=size, p=share)}) for size in sizes.tolist()
    ]
