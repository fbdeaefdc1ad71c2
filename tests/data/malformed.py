"""Inputs that must be refused with clear lines: used by the tests of data/ and of the doors.

Each `Malformed` builds its file or folder below a given folder and returns what the user would
name on the command line. `words` must all occur in the error lines. `options` are the options the
user gave as well: "text", "label", "group", "weight", "id", "time" name columns, "encoding" an
encoding.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

GOOD = "text,label\nwhere is my parcel,order\nrefund me,money\nhello there,other\n"
GOOD_LINES = [
    {"text": "where is my parcel", "label": "order"},
    {"text": "refund me", "label": "money"},
    {"text": "hello there", "label": "other"},
]


@dataclass(frozen=True)
class Malformed:
    name: str
    build: Callable[[Path], str]
    words: tuple[str, ...]
    options: Mapping[str, str] = field(default_factory=dict)


def _file(name: str, content: str | bytes) -> Callable[[Path], str]:
    def build(folder: Path) -> str:
        path = folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return str(path)

    return build


def _lines(*records: Any) -> Callable[[Path], str]:
    """A .jsonl file; text is written as it is, anything else as JSON."""
    written = [r if isinstance(r, str) else json.dumps(r) for r in records]
    return _file("rows.jsonl", "\n".join(written) + "\n")


def _parquet(**columns: Any) -> Callable[[Path], str]:
    def build(folder: Path) -> str:
        pq.write_table(pa.table(columns), folder / "rows.parquet")
        return str(folder / "rows.parquet")

    return build


def _folder(**files: str | bytes) -> Callable[[Path], str]:
    """A folder of files; "train_csv" is written as train.csv."""

    def build(folder: Path) -> str:
        inside = folder / "rows"
        inside.mkdir()
        for name, content in files.items():
            raw = content if isinstance(content, bytes) else content.encode("utf-8")
            (inside / name.replace("_", ".", 1)).write_bytes(raw)
        return str(inside)

    return build


def _missing(name: str) -> Callable[[Path], str]:
    return lambda folder: str(folder / name)


_BIG = "text,label\n" + "".join(f"message number {n},{'ab'[n % 2]}\n" for n in range(40))

PLACES = [
    Malformed("no such file", _missing("rows.csv"), ("no such file", "rows.csv")),
    Malformed("no such folder", _missing("rows"), ("no such file or folder",)),
    Malformed("unknown form", _file("rows.txt", GOOD), (".csv", "convert")),
    Malformed("no form at all", _file("rows", GOOD), (".parquet",)),
    Malformed("json", _file("rows.json", json.dumps(GOOD_LINES)), (".jsonl", "one JSON object")),
    Malformed("excel", _file("rows.xlsx", b"PK\x03\x04" + b"\0" * 60), (".csv",)),
    Malformed("excel called csv", _file("rows.csv", b"PK\x03\x04" + b"\0" * 60), ("Excel",)),
    Malformed("parquet called csv", _file("rows.csv", b"PAR1" + b"\0" * 60), (".parquet",)),
    Malformed("pdf called csv", _file("rows.csv", b"%PDF-1.7\n%..."), ("PDF",)),
    Malformed("gzip called csv", _file("rows.csv", gzip.compress(GOOD.encode())), (".gz",)),
    Malformed("plain called gz", _file("rows.csv.gz", GOOD), ("gzip",)),
    Malformed(
        "gzip cut off",
        _file("rows.csv.gz", gzip.compress(_BIG.encode())[:-30]),
        ("gzip", "again"),
    ),
    Malformed(
        "gzip with a flipped byte",
        _file("rows.csv.gz", gzip.compress(_BIG.encode())[:-8] + b"\1\2\3\4\5\6\7\0"),
        ("gzip", "again"),
    ),
    Malformed("empty file", _file("rows.csv", ""), ("no rows", "empty")),
    Malformed("empty jsonl", _file("rows.jsonl", ""), ("no rows",)),
    Malformed("empty gzip", _file("rows.csv.gz", gzip.compress(b"")), ("no rows",)),
    Malformed("blank file", _file("rows.csv", "\n \n\n"), ("no rows", "blank")),
    Malformed("nothing but null bytes", _file("rows.csv", b"\0" * 200), ("no rows",)),
    Malformed("only a header", _file("rows.csv", "text,label\n"), ("no rows",)),
    Malformed("empty folder", _folder(), ("no train", "nothing")),
    Malformed("folder of other files", _folder(notes_txt="x"), ("no train", "notes.txt")),
    Malformed(
        "two files for one split",
        _folder(train_csv=GOOD, train_tsv=GOOD.replace(",", "\t")),
        ("train.csv", "train.tsv", "keep one"),
    ),
    Malformed(
        "dev and validation",
        _folder(train_csv=GOOD, dev_csv=GOOD, validation_csv=GOOD),
        ("dev.csv", "validation.csv"),
    ),
    Malformed("only a test file", _folder(test_csv=GOOD), ("no training rows", "test")),
    Malformed(
        "a split without the column",
        _folder(train_csv=GOOD, test_csv="text,class\nhello,other\n"),
        ("test.csv", "'label'", "'class'"),
    ),
    Malformed("hub name without a name", lambda _: "hf:", ("hf:owner/name",)),
    Malformed("hub name with blanks", lambda _: "hf:my rows", ("hf:owner/name",)),
    Malformed("hub name with too many parts", lambda _: "hf:a/b/c", ("hf:owner/name",)),
]

ENCODINGS = [
    Malformed(
        "latin-1",
        _file("rows.csv", "text,label\nhello,a\ncafé,b\n".encode("latin-1")),
        ("byte 22", "line 3", "0xe9", "UTF-8"),
    ),
    Malformed(
        "latin-1 in jsonl",
        _file("rows.jsonl", '{"text": "café", "label": "a"}\n'.encode("latin-1")),
        ("byte 13", "line 1"),
    ),
    Malformed(
        "utf-8 cut inside a character",
        _file("rows.csv", (GOOD + "caf").encode() + b"\xc3"),
        ("0xc3", "UTF-8"),
    ),
    Malformed(
        "utf-16 cut inside a character",
        _file("rows.csv", GOOD.encode("utf-16")[:-1]),
        ("utf-16", "cut off"),
    ),
    Malformed(
        "utf-16 without its mark",
        _file("rows.csv", GOOD.encode("utf-16-le")),
        ("UTF-16", "UTF-8"),
    ),
    Malformed(
        "unknown encoding",
        _file("rows.csv", GOOD),
        ("klingon", "latin-1"),
        {"encoding": "klingon"},
    ),
    Malformed(
        "wrong encoding",
        _file("rows.csv", "text,label\ncafé,a\n"),
        ("ascii", "byte 14"),
        {"encoding": "ascii"},
    ),
]

COLUMNS = [
    Malformed(
        "no text column",
        _file("rows.csv", GOOD.replace("text", "Sentence")),
        ("'text'", "perhaps 'Sentence'", "--text"),
    ),
    Malformed(
        "no label column",
        _file("rows.csv", GOOD.replace("label", "intent")),
        ("'label'", "perhaps 'intent'", "--label"),
    ),
    Malformed(
        "neither",
        _file("rows.csv", GOOD.replace("text,label", "a,b")),
        ("for the text", "for the label", "'a', 'b'"),
    ),
    Malformed("other case", _file("rows.csv", GOOD.replace("text,", "TEXT,")), ("perhaps 'TEXT'",)),
    Malformed(
        "misspelt option",
        _file("rows.csv", GOOD),
        ("'lable'", "perhaps 'label'"),
        {"label": "lable"},
    ),
    Malformed(
        "no header", _file("rows.csv", GOOD.split("\n", 1)[1]), ("'text'", "its columns are")
    ),
    Malformed("bars in a csv", _file("rows.csv", GOOD.replace(",", "|")), ("bars",)),
    Malformed("commas in a tsv", _file("rows.tsv", GOOD), ("'text'",)),
    Malformed(
        "a column named twice",
        _file("rows.csv", "text,label,label\na,b,c\n"),
        ("'label'", "2 times"),
    ),
    *(
        Malformed(f"no {role} column", _file("rows.csv", GOOD), (f"for the {role}",), {role: "x"})
        for role in ("group", "weight", "id", "time")
    ),
    Malformed("jsonl without text", _lines({"body": "a", "label": "b"}), ("perhaps 'body'",)),
    Malformed(
        "parquet without label", _parquet(text=["a"], category=["b"]), ("perhaps 'category'",)
    ),
]

LINES = [
    Malformed(
        "too many cells",
        _file("rows.csv", GOOD + "yes, please,other\n"),
        ("line 5 has 3 cells", "2", "quote"),
    ),
    Malformed("too few cells", _file("rows.csv", GOOD + "hello\n"), ("line 5 has 1 cell",)),
    Malformed(
        "ragged after a quoted line break",
        _file("rows.csv", 'text,label\n"a\nb",x\n\nc,y\nd\n'),
        ("line 6 has 1 cell",),
    ),
    Malformed(
        "every line ragged",
        _file("rows.csv", "text,label\n" + "a,b,c\n" * 30),
        ("line 2 has 3 cells", "20 more"),
    ),
    Malformed(
        "a quote never closed", _file("rows.csv", GOOD + '"hello,other\n'), ("line 5", "quotes")
    ),
    Malformed(
        "text after a closing quote",
        _file("rows.csv", GOOD + '"hello" there,other\n'),
        ("line 5", "quotes"),
    ),
    Malformed("ragged tsv", _file("rows.tsv", "text\tlabel\na\tb\nc\n"), ("line 3 has 1 cell",)),
    Malformed("not json", _lines(GOOD_LINES[0], "{text: hello}"), ("line 2", "not JSON")),
    Malformed("json cut off", _lines(*GOOD_LINES, '{"text": "hel'), ("line 4", "not JSON")),
    Malformed("json list", _file("rows.jsonl", json.dumps(GOOD_LINES)), ("one object per line",)),
    Malformed("json numbers", _lines(*GOOD_LINES, 7), ("line 4", "a number")),
    Malformed("json null", _lines(*GOOD_LINES, "null"), ("line 4", "null")),
    Malformed("csv called jsonl", _file("rows.jsonl", GOOD), ("line 1", "not JSON")),
    Malformed("json nested too deep", _lines(*GOOD_LINES, "[" * 100_000), ("line 4", "not JSON")),
    Malformed("parquet cut off", _file("rows.parquet", b"PAR1" + b"\0" * 40), ("Parquet",)),
    Malformed("csv called parquet", _file("rows.parquet", GOOD), ("Parquet",)),
    Malformed("parquet without rows", _parquet(text=pa.array([], pa.string())), ("no rows",)),
]

CELLS = [
    Malformed("empty text", _file("rows.csv", GOOD + ",other\n"), ("empty text in row 4", "leave")),
    Malformed("text of spaces", _file("rows.csv", GOOD + "  \t,other\n"), ("empty text in row 4",)),
    Malformed("empty label", _file("rows.csv", GOOD + "hello,\n"), ("empty label in row 4",)),
    Malformed("label of spaces", _file("rows.csv", GOOD + "hello,  \n"), ("empty label in row 4",)),
    Malformed(
        "many empty texts",
        _file("rows.csv", GOOD + ",other\n" * 50),
        ("rows 4, 5, 6", "40 more"),
    ),
    Malformed(
        "null bytes in a text", _file("rows.csv", GOOD + "he\0llo,other\n"), ("null byte in row 4",)
    ),
    Malformed(
        "null bytes in a label",
        _file("rows.csv", GOOD + "hello,o\0\n"),
        ("label with a null byte",),
    ),
    Malformed(
        "half a surrogate pair",
        _lines(*GOOD_LINES, '{"text": "smile \\ud83d", "label": "other"}'),
        ("surrogate", "row 4"),
    ),
    Malformed("missing text", _lines(*GOOD_LINES, {"label": "other"}), ("empty text in row 4",)),
    Malformed(
        "null label", _lines(*GOOD_LINES, {"text": "a", "label": None}), ("empty label in row 4",)
    ),
    Malformed(
        "number as text", _lines(*GOOD_LINES, {"text": 5, "label": "a"}), ("row 4", "a number")
    ),
    Malformed(
        "list as text", _lines(*GOOD_LINES, {"text": ["a"], "label": "a"}), ("row 4", "a list")
    ),
    Malformed(
        "object as text", _lines(*GOOD_LINES, {"text": {"a": 1}, "label": "a"}), ("an object",)
    ),
    Malformed(
        "truth value as text", _lines(*GOOD_LINES, {"text": True, "label": "a"}), ("true or false",)
    ),
    Malformed(
        "list as label",
        _lines(*GOOD_LINES, {"text": "a", "label": ["b", "c"]}),
        ("a list", "row 4"),
    ),
    Malformed("numbers as text in parquet", _parquet(text=[1, 2], label=["a", "b"]), ("a number",)),
    Malformed("nulls in parquet", _parquet(text=["a", None], label=["a", "b"]), ("row 2",)),
    Malformed(
        "lists in parquet", _parquet(text=[["a"], ["b"]], label=["a", "b"]), ("rows 1, 2", "a list")
    ),
    Malformed(
        "bytes in parquet", _parquet(text=[b"a", b"b"], label=["a", "b"]), ("should be text",)
    ),
    Malformed("one class", _file("rows.csv", "text,label\na,x\nb,x\n"), ("one class", "'x'")),
    Malformed(
        "one class in training",
        _folder(train_csv="text,label\na,x\nb,x\n", test_csv=GOOD),
        ("one class",),
    ),
    Malformed(
        "ids that repeat",
        _file("rows.csv", "id,text,label\n7,a,x\n8,b,y\n7,c,x\n"),
        ("'7'", "2 times", "rows 1, 3"),
    ),
    Malformed(
        "ids that repeat in a named column",
        _file("rows.csv", "key,text,label\n7,a,x\n7,b,y\n"),
        ("'7'", "--id"),
        {"id": "key"},
    ),
    Malformed(
        "empty ids", _file("rows.csv", "id,text,label\n7,a,x\n,b,y\n"), ("empty id in row 2",)
    ),
    *(
        Malformed(
            f"weight {weight or 'empty'}",
            _file("rows.csv", f"text,label,w\na,x,1\nb,y,{weight}\n"),
            ("weights", "row 2"),
            {"weight": "w"},
        )
        for weight in ("0", "-1", "nan", "inf", "heavy", "")
    ),
    Malformed(
        "a date nobody can order",
        _file("rows.csv", "text,label,day\na,x,2024-05-31\nb,y,31/05/2024\n"),
        ("row 2", "'31/05/2024'", "2024-05-31"),
        {"time": "day"},
    ),
    Malformed(
        "a day that is not there",
        _file("rows.csv", "text,label,day\na,x,2024-02-28\nb,y,2024-02-30\n"),
        ("row 2", "'2024-02-30'"),
        {"time": "day"},
    ),
    Malformed(
        "one time for all rows",
        _file("rows.csv", "text,label,day\na,x,2024\nb,y,2024\n"),
        ("too few different times",),
        {"time": "day"},
    ),
    Malformed(
        "several faults at once",
        _file("rows.csv", "id,text,label,w\n1,,x,1\n1,b,,0\n2,c\0,y,1\n3,d\n"),
        ("empty text", "empty label", "null byte", "2 times", "weights", "line 5"),
        {"weight": "w"},
    ),
    Malformed(
        "too few rows to divide",
        _file("rows.csv", "text,label\nwhere is it,x\npay me,y\n"),
        ("no rows are left for validation",),
    ),
    Malformed(
        "one group for all rows",
        _file("rows.csv", GOOD.replace("\n", ",g\n").replace(",g", ",who", 1)),
        ("no rows are left",),
        {"group": "who"},
    ),
    Malformed(
        "a group through all given parts",
        _folder(
            train_csv=GOOD.replace("\n", ",g\n").replace(",g", ",who", 1),
            test_csv="text,label,who\nsomething else entirely,order,g\n",
        ),
        ("3 of 3 train rows", "group"),
        {"group": "who"},
    ),
]

_BAR = {"label_separator": "|"}
_SEVERAL = (
    "text,label\nso glad,joy\nglad and amazed,joy|surprise\nit is a table,\nhow sad,sadness\n"
)

SEVERAL = [
    Malformed(
        "an empty label between two",
        _file("rows.csv", _SEVERAL + "a,joy||sadness\n"),
        ("row 5 names an empty label", "leave the whole cell empty"),
        _BAR,
    ),
    Malformed(
        "a separator at the end",
        _file("rows.csv", _SEVERAL + "a,joy|\nb,|joy\nc, | \n"),
        ("rows 5, 6, 7 name an empty label",),
        _BAR,
    ),
    Malformed(
        "rows without any label",
        _file("rows.csv", "text,label\na,\nb,\nc,\n"),
        ("all training rows hold no label", "--label"),
        _BAR,
    ),
    Malformed(
        "the same labels on every row",
        _file("rows.csv", "text,label\na,x|y\nb,y|x\nc,x|y\n"),
        ("all training rows hold 'x', 'y'", "nothing to tell apart"),
        _BAR,
    ),
    Malformed(
        "a null byte in one of several labels",
        _file("rows.csv", _SEVERAL + "a,joy|sad\0ness\n"),
        ("label with a null byte in row 5",),
        _BAR,
    ),
    Malformed(
        "a blank separator",
        _file("rows.csv", _SEVERAL),
        ("--label-separator is ' '",),
        {"label_separator": " "},
    ),
    Malformed(
        "an empty text beside several labels",
        _file("rows.csv", _SEVERAL + ",joy|sadness\n"),
        ("empty text in row 5",),
        _BAR,
    ),
    Malformed(
        "lists in lists",
        _lines({"text": "a", "label": ["x"]}, {"text": "b", "label": [["x"], "y"]}),
        ("row 2 holds a list where a label should be",),
    ),
    Malformed(
        "objects in lists",
        _lines({"text": "a", "label": ["x"]}, {"text": "b", "label": ["y", {"name": "z"}]}),
        ("row 2 holds a list where a label should be",),
    ),
    Malformed(
        "an empty name in a list",
        _lines({"text": "a", "label": ["x"]}, {"text": "b", "label": ["y", ""]}),
        ("row 2 names an empty label",),
    ),
    Malformed(
        "a missing name in a list",
        _lines({"text": "a", "label": ["x"]}, {"text": "b", "label": ["y", None]}),
        ("row 2 names an empty label",),
    ),
    Malformed(
        "text among lists",
        _lines({"text": "a", "label": ["x"]}, {"text": "b", "label": "y"}),
        ("row 1 holds a list", "a list in every row if a row may have several"),
    ),
    Malformed(
        "lists in one file and text in the other",
        _folder(
            train_jsonl='{"text":"a","label":["x"]}\n{"text":"b","label":["y"]}\n',
            test_csv="text,label\nc,x\n",
        ),
        ("rows 1, 2 hold a list",),
    ),
]

MALFORMED = [*PLACES, *ENCODINGS, *COLUMNS, *LINES, *CELLS, *SEVERAL]
