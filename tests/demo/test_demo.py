"""The demo's rows are what docs/demo.md promises: their counts, what was planted, no leaks."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score

import equipoise.demo
from equipoise.data import ColumnNames, Table, check_rows, cluster_rows, read_rows, split_table
from equipoise.data.normalise import duplicate_key
from equipoise.demo import demo_folder
from equipoise.errors import DataError
from equipoise.models.baselines import tfidf_baseline

COLUMNS = ColumnNames(group=("customer",))
RAREST, TINY = "safety_hazard", "legal_or_data_request"
DOCS = Path(__file__).parents[2] / "docs" / "demo.md"


@pytest.fixture(scope="module")
def table() -> Table:
    return read_rows(demo_folder(), columns=COLUMNS)


@pytest.fixture(scope="module")
def planted() -> dict[str, list[dict[str, str]]]:
    return json.loads((demo_folder() / "planted.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def by_id() -> dict[str, dict[str, str]]:
    """The files as plain CSV, each row with the part that it came from."""
    found = {}
    for part in ("train", "test"):
        with (demo_folder() / f"{part}.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                assert row["id"] not in found
                found[row["id"]] = row | {"part": part}
    return found


def test_rows_pass_the_checks_and_only_the_planted_conflicts_are_warned_of(table):
    assert list(table.parts) == ["train", "test"]
    (warning,) = check_rows(table)
    assert "2 texts occur under different labels (4 rows)" in warning


def test_class_counts_are_as_promised(table):
    train, test = table.parts["train"].counts(), table.parts["test"].counts()
    assert 2500 <= len(table.parts["train"]) + len(table.parts["test"]) <= 2650
    assert sorted(train) == sorted(test)
    assert len(train) == 12
    judged = {name: rows for name, rows in train.items() if name != TINY}
    assert min(judged, key=judged.get) == RAREST
    assert 38 <= max(train.values()) / train[RAREST] <= 43
    assert min(rows for name, rows in test.items() if name != TINY) >= 40
    assert train[TINY] == 4
    assert test[TINY] == 3


def test_forty_test_rows_of_every_judged_class_are_not_copies(table):
    test = table.parts["test"]
    clusters = cluster_rows(test.texts.tolist()).tolist()
    different = Counter(label for label, _ in set(zip(test.labels, clusters, strict=True)))
    del different[TINY]
    assert min(different.values()) >= 40


def test_docs_state_the_counts(table):
    stated = re.findall(r"^\| `(\w+)` \| (\d+) \| (\d+) \|$", DOCS.read_text("utf-8"), re.M)
    train, test = table.parts["train"].counts(), table.parts["test"].counts()
    assert {name: (int(a), int(b)) for name, a, b in stated} == {
        name: (train[name], test[name]) for name in train
    }


def test_ids_are_unique_over_both_parts(table, by_id):
    assert len(by_id) == sum(len(rows) for rows in table.parts.values())


def test_exact_duplicates_repeat_their_original(planted, by_id):
    assert len(planted["exact_duplicates"]) == 28
    for pair in planted["exact_duplicates"]:
        copy, original = by_id[pair["id"]], by_id[pair["of"]]
        assert copy["text"] == original["text"]
        assert_sent_again(copy, original)


def test_near_duplicates_differ_and_are_found_without_knowing_the_customer(planted, by_id):
    assert len(planted["near_duplicates"]) == 33
    rows = list(by_id.values())
    clusters = cluster_rows([row["text"] for row in rows])
    place = {row["id"]: at for at, row in enumerate(rows)}
    found = 0
    for pair in planted["near_duplicates"]:
        copy, original = by_id[pair["id"]], by_id[pair["of"]]
        assert copy["text"] != original["text"]
        assert_sent_again(copy, original)
        found += clusters[place[pair["id"]]] == clusters[place[pair["of"]]]
    # The rest are edited more than the usual threshold allows; their customer ties them.
    assert found >= 25


def assert_sent_again(copy: dict[str, str], original: dict[str, str]) -> None:
    assert copy["customer"] == original["customer"]
    assert copy["part"] == original["part"]
    assert copy["received"] > original["received"]


def test_nothing_is_repeated_but_what_was_planted(planted, by_id):
    copies = {p["id"] for kind in ("exact", "near") for p in planted[f"{kind}_duplicates"]}
    rest = [duplicate_key(row["text"]) for name, row in by_id.items() if name not in copies]
    assert len(set(rest)) == len(rest)
    assert len(np.unique(cluster_rows(rest))) == len(rest)


def test_wrong_labels_are_in_training_only_and_carry_the_true_one(table, planted, by_id):
    wrong = planted["label_errors"]
    assert 0.015 <= len(wrong) / len(table.parts["train"]) <= 0.02
    classes = set(table.parts["train"].counts())
    for error in wrong:
        row = by_id[error["id"]]
        assert row["part"] == "train"
        assert row["label"] == error["label"]
        assert error["true_label"] in classes - {error["label"]}
    assert sum(RAREST in (e["label"], e["true_label"]) for e in wrong) == 1
    assert not any(TINY in (e["label"], e["true_label"]) for e in wrong)


def test_no_cluster_crosses_from_training_to_test(table):
    train, test = table.parts["train"], table.parts["test"]
    assert not set(train.groups) & set(test.groups)
    texts = [*train.texts, *test.texts]
    for threshold in (0.8, 0.6):
        clusters = cluster_rows(texts, threshold=threshold)
        assert not set(clusters[: len(train)]) & set(clusters[len(train) :])


def test_splitting_leaves_nothing_out_and_keeps_every_judged_class(table):
    splits = split_table(table, seed=0)
    given = table.parts
    assert len(splits.train) + len(splits.validation) == len(given["train"])
    assert len(splits.test) == len(given["test"])
    parts = [set(rows.clusters) for rows in (splits.train, splits.validation, splits.test)]
    assert not parts[0] & parts[1]
    assert not (parts[0] | parts[1]) & parts[2]
    assert RAREST in splits.validation.counts()


def test_customers_write_one_message_or_several(by_id):
    written = Counter(Counter(row["customer"] for row in by_id.values()).values())
    assert written[1] > written[2] > written[5] > 0
    assert max(written) >= 9


def test_channels_and_dates(by_id):
    rows = list(by_id.values())
    lengths = {
        channel: np.mean([len(row["text"]) for row in rows if row["channel"] == channel])
        for channel in ("chat", "app", "email", "phone-transcript")
    }
    assert {row["channel"] for row in rows} == set(lengths)
    assert min(lengths["email"], lengths["phone-transcript"]) > 1.3 * lengths["chat"]
    dates = [datetime.fromisoformat(row["received"]) for row in rows]
    assert (min(dates).year, min(dates).month) == (2025, 7)
    assert (max(dates).year, max(dates).month) <= (2026, 7)


def test_contact_details_are_invented_and_as_many_as_the_docs_say(by_id):
    texts = [row["text"] for row in by_id.values()]
    emails = [found for text in texts for found in re.findall(r"[\w.+-]+@([\w-]+\.\w+)", text)]
    phones = sum(len(re.findall(r"07700 900\d{3}|555-01\d\d", text)) for text in texts)
    # example.com and example.org are reserved (RFC 2606), 555-01xx and 07700 900xxx for fiction.
    assert set(emails) == {"example.com", "example.org"}
    assert f"{len(emails)} e-mail addresses and {phones} telephone numbers" in DOCS.read_text(
        "utf-8"
    )


def test_missing_rows_are_reported(monkeypatch, tmp_path):
    monkeypatch.setattr(equipoise.demo, "files", lambda _: tmp_path)
    with pytest.raises(DataError, match="install equipoise again"):
        demo_folder()


def test_tfidf_does_not_solve_it(table):
    train, test = table.parts["train"], table.parts["test"]
    classes = tuple(train.counts())
    decided = tfidf_baseline(train, test, classes, seed=0).argmax(axis=1)
    macro = f1_score(test.labels.tolist(), [classes[k] for k in decided], average="macro")
    assert 0.2 < macro < 0.5
    stated = re.search(r"^\| TF-IDF .*?\| ([\d.]+) \|", DOCS.read_text("utf-8"), re.M)
    assert macro == pytest.approx(float(stated[1]), abs=0.02)
