"""Every form reads to the same rows, and every role finds its column."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import re
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from equipoise.data import ColumnNames, Table, check_rows, read_rows
from equipoise.data.cells import name_of
from equipoise.errors import DataError
from equipoise.given import group_names

TEXTS = ["where is my parcel?", 'she said "no",\nthen left', "naïve café — 日本語 🙂", " spaced "]
LABELS = ["order", "other", "order", "a, b"]


def as_csv(delimiter: str = ",", line: str = "\n") -> str:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator=line)
    writer.writerow(["text", "label"])
    writer.writerows(zip(TEXTS, LABELS, strict=True))
    return out.getvalue()


def as_jsonl(ensure_ascii: bool = True) -> str:
    rows = zip(TEXTS, LABELS, strict=True)
    return "\n".join(
        json.dumps({"text": t, "label": k}, ensure_ascii=ensure_ascii) for t, k in rows
    )


FORMS: dict[str, tuple[str, bytes]] = {
    "csv": ("a.csv", as_csv().encode()),
    "upper case name": ("A.CSV", as_csv().encode()),
    "carriage returns": ("a.csv", as_csv(line="\r\n").encode()),
    "byte order mark": ("a.csv", codecs.BOM_UTF8 + as_csv().encode()),
    "utf-16": ("a.csv", as_csv().encode("utf-16")),
    "utf-16 big-endian": ("a.csv", codecs.BOM_UTF16_BE + as_csv().encode("utf-16-be")),
    "utf-32": ("a.csv", as_csv().encode("utf-32")),
    "semicolons": ("a.csv", as_csv(";").encode()),
    "tabs in a csv": ("a.csv", as_csv("\t").encode()),
    "tsv": ("a.tsv", as_csv("\t").encode()),
    "csv.gz": ("a.csv.gz", gzip.compress(as_csv().encode())),
    "tsv.gz": ("a.tsv.gz", gzip.compress(as_csv("\t").encode())),
    "jsonl": ("a.jsonl", as_jsonl().encode()),
    "jsonl, characters as they are": ("a.jsonl", as_jsonl(ensure_ascii=False).encode()),
    "jsonl, blank lines": ("a.jsonl", as_jsonl().replace("\n", "\r\n\n").encode()),
    "jsonl.gz": ("a.jsonl.gz", gzip.compress(as_jsonl().encode())),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_rows(form: str, tmp_path: Path) -> None:
    name, raw = FORMS[form]
    (tmp_path / name).write_bytes(raw)
    rows = read_rows(tmp_path / name).parts["all"]
    assert rows.texts.tolist() == TEXTS
    assert rows.labels is not None
    assert rows.labels.tolist() == LABELS
    assert rows.ids.tolist() == ["1", "2", "3", "4"]


def test_parquet_gives_the_same_rows_and_fingerprint(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": TEXTS, "label": LABELS}), tmp_path / "a.parquet")
    (tmp_path / "a.csv").write_text(as_csv(), encoding="utf-8", newline="")
    parquet, text = read_rows(tmp_path / "a.parquet"), read_rows(str(tmp_path / "a.csv"))
    assert parquet.parts["all"].texts.tolist() == TEXTS
    assert parquet.fingerprint == text.fingerprint
    assert len(parquet.fingerprint) == 64


def test_an_encoding_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("text,label\ncafé,a\n".encode("latin-1"))
    rows = read_rows(tmp_path / "a.csv", encoding="latin-1").parts["all"]
    assert rows.texts.tolist() == ["café"]


# Null bytes and half surrogate pairs are refused (test_malformed), everything else is kept.
SAYABLE = st.characters(exclude_categories=["Cs"], exclude_characters="\0")


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(st.tuples(st.text(SAYABLE, min_size=1), st.text(SAYABLE, min_size=1)), min_size=1)
)
def test_whatever_csv_writes_comes_back(rows: list[tuple[str, str]], tmp_path: Path) -> None:
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerows([("text", "label"), *rows])
    (tmp_path / "a.csv").write_bytes(out.getvalue().encode("utf-8"))
    back = read_rows(tmp_path / "a.csv").parts["all"]
    assert back.labels is not None
    assert list(zip(back.texts.tolist(), back.labels.tolist(), strict=True)) == rows


def write(folder: Path, **files: str) -> Path:
    for name, content in files.items():
        path = folder / name.replace("_", ".", 1)
        path.write_text(content, encoding="utf-8")
    return folder


def test_roles_and_other_columns(tmp_path: Path) -> None:
    write(
        tmp_path,
        a_csv="id,body,topic,who,where,w,day,votes\n"
        "x1,hello,a,Ann,York,2,2024-01-02,3\nx2,bye,b,,,0.5,2024-01-03,1\n",
    )
    table = read_rows(
        tmp_path / "a.csv",
        columns=ColumnNames(
            text="body", label="topic", group=("who", "where"), weight="w", time="day"
        ),
    )
    rows = table.parts["all"]
    assert rows.ids.tolist() == ["x1", "x2"]
    assert rows.groups is not None
    assert rows.groups.tolist() == ["Ann | York", ""], "a row without group cells has no group"
    assert rows.weights is not None
    assert rows.weights.tolist() == [2.0, 0.5]
    assert {name: column.tolist() for name, column in rows.columns.items()} == {
        "day": ["2024-01-02", "2024-01-03"],
        "votes": ["3", "1"],
    }
    assert table.columns == {
        "text": "body",
        "label": "topic",
        "group": ("who", "where"),
        "weight": "w",
        "id": "id",
        "time": "day",
    }


def test_numbers_are_accepted_as_labels(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        '{"text": "a", "label": 1}\n{"text": "b", "label": true}\n{"text": "c", "label": 1.5}\n'
    )
    rows = read_rows(tmp_path / "a.jsonl").parts["all"]
    assert rows.labels is not None
    assert rows.labels.tolist() == ["1", "true", "1.5"]


def test_whole_floats_are_the_numbers_that_they_were(tmp_path: Path) -> None:
    """pandas makes floats of whole numbers where one is missing, so that customer 1 of the test
    file is customer 1.0 of the training file, and was trained and judged on."""
    names = ["key", "who", "label", "when"]
    train = pd.DataFrame([[1, 1, 0, 5], [2, 2, 1, 6], [3, None, 1, None]], columns=names)
    test = pd.DataFrame([[4, 1, 0, 7], [5, 9, 1, 8]], columns=names)
    train, test = (frame.assign(text=frame.key.map(str) + " text") for frame in (train, test))
    train = train.astype({"key": "float64", "label": "float64"})
    assert train.who.dtype == train.when.dtype == "float64"
    for name, frame in (("train", train), ("test", test)):
        frame.to_parquet(tmp_path / f"{name}.parquet")
    columns = ColumnNames(id="key", group=("who",))
    parts = read_rows(tmp_path, columns=columns).parts
    assert parts["train"].ids.tolist() == ["1", "2", "3"]
    assert parts["train"].counts() == {"0": 1, "1": 2}
    assert parts["train"].groups is not None
    assert parts["train"].groups.tolist() == ["1", "2", ""]
    assert list(map(str, parts["train"].columns["when"])) == ["5", "6", "None"]
    assert list(map(str, parts["test"].columns["when"])) == ["7", "8"]


def test_one_number_is_one_class_however_json_writes_it(tmp_path: Path) -> None:
    cells = ["1", "1.0", "1e0", "-0.0", "1e300", "2.5", "NaN"]
    lines = [f'{{"text": "t{n}", "label": {cell}}}' for n, cell in enumerate(cells)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    rows = read_rows(tmp_path / "a.jsonl").parts["all"]
    assert rows.labels is not None
    assert rows.labels.tolist() == ["1", "1", "1", "0", "1e+300", "2.5", ""]


@pytest.mark.parametrize(
    ("cell", "name"),
    [(np.int64(3), "3"), (np.float32(3), "3"), (np.float64(2.5), "2.5"), (np.bool_(True), "true")],
)
def test_numbers_of_numpy_are_names_too(cell: Any, name: str) -> None:
    assert name_of(cell, None) == name
    assert name_of(np.float64(1), ("no", "yes")) == "yes"


def test_groups_in_memory_are_named_alike() -> None:
    found = group_names(pd.Series([7, 7.0, np.int64(7), "7", None, 7.5], dtype=object), 6)
    assert found is not None
    assert found.tolist() == ["7", "7", "7", "7", "", "7.5"]


def test_pandas_index_column_without_name(tmp_path: Path) -> None:
    pd.DataFrame({"text": ["a", "b"], "label": ["x", "y"]}).to_csv(tmp_path / "a.csv")
    rows = read_rows(tmp_path / "a.csv").parts["all"]
    assert rows.columns["column 1"].tolist() == ["0", "1"]


def test_a_cell_may_be_longer_than_the_csv_default(tmp_path: Path) -> None:
    long = "word " * 100_000
    write(tmp_path, a_csv=f"text,label\n{long},a\n")
    assert read_rows(tmp_path / "a.csv").parts["all"].texts.tolist() == [long]


def test_line_separators_inside_json_text_stay(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "a\u2028b\x85c", "label": "x"}\n', encoding="utf-8")
    assert read_rows(tmp_path / "a.jsonl").parts["all"].texts.tolist() == ["a\u2028b\x85c"]


def test_folder_of_splits_in_any_form(tmp_path: Path) -> None:
    write(tmp_path, test_tsv="text\tlabel\nc\ty\n", train_csv="text,label\na,x\n", train_lf_csv="")
    (tmp_path / "dev.jsonl").write_text('{"text": "b", "label": "y"}\n')
    table = read_rows(tmp_path)
    assert list(table.parts) == ["train", "validation", "test"]
    assert [rows.texts.tolist() for rows in table.parts.values()] == [["a"], ["b"], ["c"]]
    assert table.parts["test"].ids.tolist() == ["test-1"], "ids of all parts are different"


@pytest.mark.parametrize("name", ["dev", "val", "valid", "validation", "Validation"])
def test_names_of_the_validation_file(name: str, tmp_path: Path) -> None:
    for stem in ("train", name):
        (tmp_path / f"{stem}.csv").write_text("text,label\na,x\n")
    assert list(read_rows(tmp_path).parts) == ["train", "validation"]


def test_shards_and_class_names_as_the_hub_writes_them(tmp_path: Path) -> None:
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["ok", "fraud"])}
    )
    for shard, (text, label) in enumerate([("a", 1), ("b", 0)]):
        made = datasets.Dataset.from_dict({"text": [text], "label": [label]}, features=features)
        made.to_parquet(str(tmp_path / f"train-0000{shard}-of-00002.parquet"))
    rows = read_rows(tmp_path).parts["train"]
    assert rows.labels is not None
    assert list(zip(rows.texts, rows.labels, strict=True)) == [("a", "fraud"), ("b", "ok")]


def shards(folder: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        (folder / name).write_text(f"text,label\ntext {number},x\n")
    return folder


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["train-00000-of-00003.csv"], "the train rows lack shards 1, 2 of 3"),
        (["train-0-of-3.csv", "train-2-of-3.csv"], "lack shard 1 of 3"),
        (["train-1-of-3.csv", "train-2-of-3.csv"], "lack shard 0 of 3, counted from 0"),
        (["train-1-of-3.csv", "train-3-of-3.csv"], "lack shard 2 of 3, counted from 1"),
        (["train-0-of-1.csv", "training-0-of-1.csv"], "hold shard 0 more than once"),
        (["train-0-of-2.csv", "train-1-of-3.csv"], "of 2 and of 3 files"),
        (["train-0-of-1.csv", "train-7-of-1.csv"], "hold shard 7 of 1"),
        (["train.csv", "test-1-of-2.csv"], "the test rows lack shard 0 of 2"),
        (["train-0-of-1.csv", "train.csv"], "are all train rows; keep one"),
    ],
)
def test_shards_that_are_missing_or_double(names: list[str], said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=re.escape(said)):
        read_rows(shards(tmp_path, *names))


def test_whole_sets_of_shards(tmp_path: Path) -> None:
    names = ["train-0-of-2.csv", "train-1-of-2.csv", "test-1-of-2.csv", "test-2-of-2.csv"]
    parts = read_rows(shards(tmp_path, *names)).parts
    assert {name: len(rows) for name, rows in parts.items()} == {"train": 2, "test": 2}


def test_labels_may_be_absent_only_for_prediction(tmp_path: Path) -> None:
    write(tmp_path, a_csv="text,other\nhello,1\n")
    assert read_rows(tmp_path / "a.csv", need_labels=False).parts["all"].labels is None
    with pytest.raises(DataError, match="label"):
        read_rows(tmp_path / "a.csv")
    write(tmp_path, b_csv="text,label\nhello,x\n")
    assert read_rows(tmp_path / "b.csv", need_labels=False).parts["all"].counts() == {"x": 1}


def test_fingerprint_sees_text_label_order_and_part(tmp_path: Path) -> None:
    def of(content: str) -> str:
        (tmp_path / "a.csv").write_text(content)
        return read_rows(tmp_path / "a.csv").fingerprint

    base = of("text,label\nab,c\nd,e\n")
    others = [
        of("text,label\na,bc\nd,e\n"),
        of("text,label\nd,e\nab,c\n"),
        of("text,label\nab,c\nd,E\n"),
        of("id,text,label\n7,ab,c\n8,d,e\n"),
    ]
    assert len({base, *others}) == 5


def test_fingerprint_sees_every_column_that_a_run_may_read(tmp_path: Path) -> None:
    """Remedies take groups from columns without a role (group_weights:column=channel), and a run
    is divided by time: other cells there are another run."""

    def of(content: str, time: str | None = None) -> str:
        (tmp_path / "a.csv").write_text(content)
        return read_rows(tmp_path / "a.csv", columns=ColumnNames(time=time)).fingerprint

    base = "text,label,day,channel\na,b,1,web\nc,d,2,app\n"
    assert of(base) == of(base)
    assert of(base) == of("channel,day,text,label\nweb,1,a,b\napp,2,c,d\n")
    others = [
        of("text,label\na,b\nc,d\n"),
        of("text,label,day,channel\na,b,1,app\nc,d,2,web\n"),
        of("text,label,day,channel\na,b,3,web\nc,d,2,app\n"),
        of("text,label,channel,day\na,b,1,web\nc,d,2,app\n"),
        of("text,label,day,site\na,b,1,web\nc,d,2,app\n"),
    ]
    assert len({of(base), *others}) == 6
    assert of(base, "day") != of(base.replace(",1,", ",3,"), "day")


class Hub:
    """Stands in for the hub behind `datasets.load_dataset`."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str | None]] = []

    def load_dataset(self, name: str, config: str | None) -> Any:
        self.asked.append((name, config))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def read_hub(monkeypatch: pytest.MonkeyPatch, hub: Hub, name: str) -> Table:
    monkeypatch.setattr(datasets, "load_dataset", hub.load_dataset)
    return read_rows(name)


def hub_split(*texts: str) -> datasets.Dataset:
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])}
    )
    return datasets.Dataset.from_dict(
        {"text": list(texts), "label": [k % 2 for k in range(len(texts))]}, features=features
    )


def test_hub_splits_and_class_names(monkeypatch: pytest.MonkeyPatch) -> None:
    splits = {"test": hub_split("c"), "unsupervised": hub_split("d"), "train": hub_split("a", "b")}
    hub = Hub(datasets.DatasetDict(splits))
    table = read_hub(monkeypatch, hub, "hf:owner/name:en")
    assert hub.asked == [("owner/name", "en")]
    assert list(table.parts) == ["train", "test"]
    assert table.parts["train"].counts() == {"no": 1, "yes": 1}
    assert table.source == "hf:owner/name:en"


def test_hub_with_one_split_is_one_file(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub(datasets.DatasetDict({"train": hub_split("a", "b")}))
    assert list(read_hub(monkeypatch, hub, "hf:name").parts) == ["all"]
    assert hub.asked == [("name", None)]


@pytest.mark.parametrize(
    "error", [ConnectionError("offline mode is on\ntry later"), ValueError(), OSError("no")]
)
def test_hub_out_of_reach(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    with pytest.raises(DataError) as caught:
        read_hub(monkeypatch, Hub(error), "hf:owner/name")
    (line,) = caught.value.faults
    assert "hf:owner/name" in line
    assert type(error).__name__ in line
    assert "network" in line


def test_hub_without_known_splits(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub(datasets.DatasetDict({"north": hub_split("a"), "south": hub_split("b")}))
    with pytest.raises(DataError, match="north, south"):
        read_hub(monkeypatch, hub, "hf:owner/name")


def test_all_broken_files_of_a_folder_are_reported(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_bytes(b"text,label\n\xff,a\n")
    (tmp_path / "test.csv").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        read_rows(tmp_path)
    assert len(caught.value.faults) == 2


def test_a_faulty_cell_waits_for_the_check(tmp_path: Path) -> None:
    write(tmp_path, a_jsonl='{"text": 5, "label": "a"}\n{"text": "b", "label": "b"}\n')
    table = read_rows(tmp_path / "a.jsonl")
    assert table.parts["all"].texts.tolist() == [None, "b"]
    with pytest.raises(DataError, match="row 1 holds a number"):
        check_rows(table)


def test_a_comma_among_semicolons_divides_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text;label;amount, EUR\nhello, you;a;1\nbye;b;2\n", encoding="utf-8")
    rows = read_rows(path).parts["all"]
    assert rows.texts.tolist() == ["hello, you", "bye"]
    path.write_text('text,label,"c;d;e;f"\nhello;you,a,1\nbye,b,2\n', encoding="utf-8")
    assert read_rows(path).parts["all"].texts.tolist() == ["hello;you", "bye"]
