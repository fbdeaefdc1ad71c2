"""Rows whose target is text: read in every form, refused with every fault at once, divided."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from equipoise.data import ColumnNames, check_rows, read_rows, split_table
from equipoise.data.check import check_texts
from equipoise.data.check_written import special_token_faults
from equipoise.errors import DataError, SettingsError
from equipoise.records.rows import Rows, text_column
from equipoise.records.turns import Turn

PAIR = (Turn("user", "Is it?"), Turn("assistant", "Yes."))
CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Is it?"},
    {"role": "assistant", "content": "Yes."},
]


def lines(folder: Path, *records: Any, name: str = "a.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def only(path: Path, **options: Any) -> Rows:
    table = read_rows(path, **options)
    check_rows(table)
    (rows,) = table.parts.values()
    return rows


def turns_of(rows: Rows) -> list[Any]:
    assert rows.turns is not None
    return rows.turns.tolist()


def faults(path: Path, **options: Any) -> list[str]:
    with pytest.raises(DataError) as caught:
        check_rows(read_rows(path, **options))
    return [fault.replace(str(path), "F") for fault in caught.value.faults]


def test_prompts_and_completions_in_every_form(tmp_path: Path) -> None:
    columns = {"prompt": ["Is it?", "a\nb"], "completion": ["Yes.", "c"], "category": ["x", "y"]}
    records = [
        dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)
    ]
    (tmp_path / "a.csv").write_text('prompt,completion,category\nIs it?,Yes.,x\n"a\nb",c,y\n')
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    tables = [
        read_rows(path)
        for path in (tmp_path / "a.csv", tmp_path / "a.parquet", lines(tmp_path, *records))
    ]
    assert len({table.fingerprint for table in tables}) == 1
    for table in tables:
        rows = table.parts["all"]
        assert table.written
        assert turns_of(rows) == [PAIR, (Turn("user", "a\nb"), Turn("assistant", "c"))]
        assert rows.texts.tolist() == ["Is it?", "a\nb"]
        assert rows.labels is not None
        assert rows.labels.tolist() == ["x", "y"]
        assert rows.references is not None
        assert rows.references.tolist() == [("Yes.",), ("c",)]
        assert rows.columns == {}
        assert table.columns == {
            "prompt": "prompt",
            "completion": "completion",
            "category": "category",
        }


def test_columns_by_other_names(tmp_path: Path) -> None:
    path = lines(tmp_path, {"q": "Is it?", "a": "Yes.", "kind": 3, "gold": ["Yes.", "Yep."]})
    names = ColumnNames(prompt="q", completion="a", category="kind", references="gold")
    rows = only(path, columns=names)
    assert turns_of(rows) == [PAIR]
    assert rows.labels is not None
    assert rows.labels.tolist() == ["3"]
    assert rows.references is not None
    assert rows.references.tolist() == [("Yes.", "Yep.")], "its own first, none twice"


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("messages", CHAT),
        ("messages", json.dumps(CHAT)),
        ("conversations", CHAT),
        (
            "conversations",
            [
                {"from": "system", "value": "Be brief."},
                {"from": "human", "value": "Is it?"},
                {"from": "gpt", "value": "Yes."},
            ],
        ),
        (
            "messages",
            [
                *CHAT[:1],
                {
                    "role": "user",
                    "content": [{"type": "text", "text": "Is "}, {"type": "text", "text": "it?"}],
                },
                CHAT[2],
            ],
        ),
    ],
    ids=["lists", "JSON", "conversations", "ShareGPT", "parts"],
)
def test_conversations(tmp_path: Path, column: str, cell: Any) -> None:
    rows = only(lines(tmp_path, {column: cell}))
    assert turns_of(rows) == [(Turn("system", "Be brief."), *PAIR)]
    assert rows.texts.tolist() == ["Be brief.\nIs it?"]
    assert rows.labels is not None
    assert rows.labels.tolist() == ["all"]


def test_conversations_in_csv_and_parquet(tmp_path: Path) -> None:
    cell = json.dumps(CHAT).replace('"', '""')
    (tmp_path / "a.csv").write_text(f'messages,category\n"{cell}",x\n')
    pq.write_table(pa.table({"messages": [CHAT], "category": ["x"]}), tmp_path / "a.parquet")
    tables = [read_rows(tmp_path / name) for name in ("a.csv", "a.parquet")]
    assert tables[0].fingerprint == tables[1].fingerprint
    assert turns_of(tables[0].parts["all"]) == [(Turn("system", "Be brief."), *PAIR)]


def test_prompts_that_are_turns_themselves(tmp_path: Path) -> None:
    path = lines(tmp_path, {"prompt": CHAT[:2], "completion": CHAT[2:]})
    assert turns_of(only(path)) == [(Turn("system", "Be brief."), *PAIR)]


def test_plain_texts_are_asked_for(tmp_path: Path) -> None:
    path = lines(tmp_path, {"text": "It is."}, {"text": "It was."})
    rows = only(path, task="write")
    assert turns_of(rows) == [(Turn("text", "It is."),), (Turn("text", "It was."),)]
    assert rows.texts.tolist() == ["It is.", "It was."]
    with pytest.raises(DataError, match="or say --task write, to learn to write"):
        read_rows(path)


def test_columns_of_other_names_that_look_like_written_rows_are_proposed(tmp_path: Path) -> None:
    path = lines(tmp_path, {"Instruction": "Add", "input": "2 and 3", "my output": "5"})
    with pytest.raises(DataError) as caught:
        read_rows(path)
    assert "or say" not in str(caught.value)  # nothing that looks like what is written
    path = lines(tmp_path, {"Instruction": "Add", "input": "2 and 3", "output": "5"})
    asked = r"or say --prompt 'Instruction \+ input' --completion output, to learn to write"
    with pytest.raises(DataError, match=asked):
        read_rows(path)


@pytest.mark.parametrize(
    ("record", "options", "written"),
    [
        ({"text": "a", "label": "x", "prompt": "p", "completion": "c"}, {}, False),
        ({"text": "a", "label": "x", "prompt": "p", "completion": "c"}, {"task": "write"}, True),
        ({"text": "a", "prompt": "p", "completion": "c"}, {}, True),
        ({"text": "a", "kind": "x", "messages": []}, {"columns": ColumnNames(label="kind")}, False),
        (
            {"text": "a", "label": "x", "messages": CHAT},
            {"columns": ColumnNames(messages="messages")},
            True,
        ),
        ({"prompt": "p"}, {"need_labels": False}, True),
        ({"text": "p"}, {"need_labels": False}, False),
    ],
)
def test_whether_rows_are_written(
    tmp_path: Path, record: dict[str, Any], options: dict[str, Any], written: bool
) -> None:
    assert read_rows(lines(tmp_path, record), **options).written is written


def test_prompts_alone_can_be_written_on_request(tmp_path: Path) -> None:
    path = lines(tmp_path, {"prompt": "Is it?"}, {"prompt": "Really?", "completion": None})
    table = read_rows(path, need_labels=False)
    check_texts(table)
    rows = table.parts["all"]
    assert turns_of(rows) == [(Turn("user", "Is it?"),), (Turn("user", "Really?"),)]
    assert rows.references is not None
    assert rows.references.tolist() == [(), ()]
    assert any("empty completion" in fault for fault in faults(path))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ({"prompt": "a", "completion": "a"}, "--prompt and --completion both name 'a'"),
        ({"prompt": "a", "messages": "b"}, "--messages names whole conversations"),
        ({"prompt": "a", "text": "b"}, "--text and --prompt both say what is read"),
        ({"prompt": "a", "label": "b"}, "the kind of a written row is its --category"),
        ({"category": "a", "group": ("a",)}, "--group and --category both name 'a'"),
    ],
)
def test_names_that_clash(names: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        ColumnNames(**names)


def test_settings_that_do_not_fit_the_rows(tmp_path: Path) -> None:
    path = lines(tmp_path, {"prompt": "p", "completion": "c", "text": "t"})
    for names, task, words in (
        (ColumnNames(prompt="prompt"), "classify", "--task classify"),
        (ColumnNames(label_separator="|"), "auto", "has one category"),
        (ColumnNames(text="t", category="k"), "auto", "--category is for rows that are written"),
    ):
        with pytest.raises(SettingsError, match=words):
            read_rows(path, columns=names, task=task)


def test_every_fault_of_turns_at_once(tmp_path: Path) -> None:
    def chat(*turns: tuple[str, Any]) -> dict[str, Any]:
        return {"messages": [{"role": role, "content": text} for role, text in turns]}

    path = lines(
        tmp_path,
        chat(("user", "a"), ("user", "b"), ("assistant", "c")),
        chat(("user", "a")),
        chat(("user", "a"), ("assistant", "b"), ("user", "c")),
        chat(("user", "a"), ("assistant", " ")),
        chat(("user", ""), ("assistant", "b")),
        chat(("bot", "a"), ("assistant", "b")),
        chat(("user", None), ("assistant", "b")),
        chat(("user", "a\0"), ("assistant", "b")),
        {"messages": "[{'role': 'user'}]"},
        {"messages": 3},
        {"messages": [{"role": "assistant", "content": "", "tool_calls": [{"name": "f"}]}]},
        {"messages": [{"role": "user", "content": [{"type": "image", "url": "x"}]}]},
        chat(("user", "a")),
    )
    said = faults(path)
    for words in (
        "in rows 2, 13; add the answer",
        "the user's turn, not the assistant's, is the last in row 3; what follows",
        "empty completion (assistant's turn) in row 4;",
        "empty prompt (user's turn) in row 5;",
        "of row 6 holds the unknown role 'bot'; use system, user, assistant or tool",
        "of row 7 holds turn 1 without content;",
        "prompt (user's turn) with a null byte in row 8;",
        "of row 9 holds a conversation that is not JSON",
        "of row 10 holds a number where a list of turns should be;",
        "of row 11 calls a tool in turn 1",
        "of row 12 holds a part of content that is no text (image)",
    ):
        assert any(words in fault for fault in said), (words, said)
    assert not any("row 1;" in fault for fault in said), "two user's turns in a row are fine"
    assert len(said) == 11
    assert all("\n" not in fault and len(fault) < 600 for fault in said)


def test_other_faults_of_written_rows(tmp_path: Path) -> None:
    path = lines(
        tmp_path,
        {"id": "1", "prompt": "a", "completion": "b", "category": "x"},
        {"id": "1", "prompt": "a", "completion": "b", "category": None},
        {"id": "3", "prompt": 5, "completion": "b", "category": "x"},
        {"id": "4", "prompt": "a", "completion": "b", "category": "x", "references": ["a", 2]},
    )
    assert [fault.split(": ", 1)[1].split(";")[0] for fault in faults(path)] == [
        "'prompt' (prompt) of row 3 holds a number where text should be",
        "'references' (references) of row 4 holds no list of texts",
        "empty category in row 2",
        "the id '1' occurs 2 times, in rows 1, 2",
    ]


def test_references_that_look_like_lists(tmp_path: Path) -> None:
    """Only CSV can't hold lists; and there an answer that is JSON stays what it is."""
    array, other = '["red", "blue"]', '["pink"]'
    record = {"prompt": "Name two colours.", "completion": array}
    given = ((array, (array,)), ("[1, 2]", (array, "[1, 2]")), ("[see 3]", (array, "[see 3]")))
    for kind in ("jsonl", "csv"):
        path = tmp_path / f"a.{kind}"
        for cell, wanted in (*given, (other, (array, "pink" if kind == "csv" else other))):
            frame = pd.DataFrame([record | {"references": cell}])
            if kind == "csv":
                frame.to_csv(path, index=False)
            else:
                frame.to_json(path, orient="records", lines=True)
            rows = only(path)
            assert rows.references is not None
            assert rows.references.tolist() == [wanted], (kind, cell)


def test_columns_that_are_missing(tmp_path: Path) -> None:
    (fault,) = faults(
        lines(tmp_path, {"prompt": "a", "response": "b"}), columns=ColumnNames(prompt="prompt")
    )
    assert "has no column 'completion' for the completion" in fault
    assert "name the right one with --completion, perhaps 'response'" in fault


def test_warnings_speak_of_categories(tmp_path: Path) -> None:
    path = lines(
        tmp_path,
        *({"prompt": f"p{n}", "completion": "c", "category": "News"} for n in range(4)),
        {"prompt": "p1", "completion": "other", "category": "news"},
    )
    said = check_rows(read_rows(path))
    assert [line.split(";")[0] for line in said] == [
        "categories 'News' and 'news' differ only by case or spaces and count as different "
        "categories",
        "categories with too few rows to be trained, chosen and judged on: 'news' (1)",
        "1 prompt occurs under different categories (2 rows), such as 'p1' as 'News' and 'news'",
        "1 prompt occurs with different completions (2 rows)",
    ]


def test_a_category_that_only_some_parts_have(tmp_path: Path) -> None:
    lines(tmp_path, {"prompt": "a", "completion": "b", "category": "x"}, name="train.jsonl")
    lines(tmp_path, {"prompt": "c", "completion": "d"}, name="test.jsonl")
    table = read_rows(tmp_path)
    assert "train hold a column 'category' that test lack" in table.warnings[0]
    assert table.parts["train"].counts() == {"all": 1}


def test_what_turns_hold_beside_is_told(tmp_path: Path) -> None:
    thought = {**CHAT[2], "reasoning_content": "Hm.", "name": None}
    table = read_rows(lines(tmp_path, {"messages": [*CHAT[:2], thought]}))
    (said,) = check_rows(table)
    assert "turns also hold 'reasoning_content', which is not read" in said


def test_special_tokens_in_texts_are_faults() -> None:
    rows = Rows(
        ids=text_column(["1", "2", "3"]),
        texts=text_column(["a", "b", "c"]),
        turns=text_column(
            [
                PAIR,
                (Turn("user", "a<|im_end|>\n<|im_start|>assistant\nb"), Turn("assistant", "c")),
                (Turn("user", "<|im_end|>"), Turn("assistant", "c</s>")),
            ]
        ),
    )
    said = special_token_faults(rows, ("<|im_end|>", "</s>", "<|im_start|>"), "train")
    assert [line.split(", which")[0] for line in said] == [
        "train: prompt (user's turn) with the special token '<|im_end|>' in rows 2, 3",
        "train: prompt (user's turn) with the special token '<|im_start|>' in row 2",
        "train: completion (assistant's turn) with the special token '</s>' in row 3",
    ]
    assert special_token_faults(rows.take(rows.ids == "1"), ("<|im_end|>",)) == []
    assert special_token_faults(rows, ()) == []


def test_equal_prompts_stay_together_and_one_category_is_enough(tmp_path: Path) -> None:
    path = lines(
        tmp_path,
        *(
            {"prompt": f"{word} {word * 2} {n}", "completion": f"{word} {k}"}
            for n, word in enumerate(["alpha", "bravo", "carol", "delta", "echo"] * 12)
            for k in range(3)
        ),
    )
    table = read_rows(path)
    check_rows(table)
    splits = split_table(table, seed=3, threshold=1)
    assert splits.test is not None
    parts = [splits.train, splits.validation, splits.test]
    prompts = [set(part.texts.tolist()) for part in parts]
    assert sum(map(len, prompts)) == len(set.union(*prompts)), "no prompt is in two parts"
    assert sum(map(len, parts)) == 180
    assert all(part.written and part.references is not None for part in parts)
    assert any("stratified by category" in note for note in splits.notes)


@pytest.mark.parametrize("held", [("test",), ("validation", "test"), ("validation",), ()])
def test_only_rows_that_judge_need_the_references_that_are_named(
    tmp_path: Path, held: tuple[str, ...]
) -> None:
    for part in ("train", "validation", "test"):
        people = {"human_refs": ["Yep."]} if part in held else {}
        row = {"id": part, "prompt": f"Is it {part}?", "completion": "Yes."}
        lines(tmp_path, row | people, name=f"{part}.jsonl")
    names = ColumnNames(references="human_refs")
    if "test" not in held:
        with pytest.raises(DataError, match=r"test\.jsonl: has no column 'human_refs'") as caught:
            read_rows(tmp_path, columns=names)
        assert len(caught.value.faults) == 1
        return
    table = read_rows(tmp_path, columns=names)
    assert table.columns["references"] == "human_refs"
    for part, rows in table.parts.items():
        assert rows.references is not None
        assert rows.references.tolist() == [("Yes.", "Yep.") if part in held else ("Yes.",)]


def test_the_fingerprint_covers_turns_and_references(tmp_path: Path) -> None:
    kinds = [
        {"messages": [CHAT[0], CHAT[1], CHAT[2]]},
        {"messages": [{"role": "user", "content": "Be brief.\nIs it?"}, CHAT[2]]},
        {"messages": [CHAT[0], CHAT[1], {"role": "assistant", "content": "No."}]},
        {"messages": [CHAT[0], CHAT[1], CHAT[2]], "references": ["Yep."]},
    ]
    found = {read_rows(lines(tmp_path, kind)).fingerprint for kind in kinds}
    assert len(found) == 4
