"""What is learned of a conversation: exactly the assistant's words and the token that ends them."""

from __future__ import annotations

import copy
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import normalizers

from equipoise.errors import DataError, ModelError, SettingsError
from equipoise.models.config import ModelConfig
from equipoise.models.load import find_base
from equipoise.models.writing.chat import Chat, special_tokens
from equipoise.models.writing.sequences import Sequences
from equipoise.models.writing.template import asked_ids, asked_tokens, hold_thoughts, sequences
from equipoise.records.rows import text_column
from equipoise.records.turns import Turn, asked
from tests.models.writing.templates import (
    MARKED_CHATML,
    NO_END,
    QWEN3,
    SHAPES,
    THINKS_ALWAYS,
    Pieces,
    Shape,
    TinyBase,
    make_tokenizer,
)
from tests.models.writing.tiny import save_writing_base

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
BLANKS = st.sampled_from(["", " ", "  ", "\n", "\n\n", "\t", " \n", " "])
TEXT = st.one_of(
    st.builds(lambda *parts: "".join(parts), BLANKS, WORDS, BLANKS),
    st.builds(
        lambda *parts: "".join(parts),
        BLANKS,
        st.sampled_from(["The answer is 42", "東京 😀"]),
        BLANKS,
    ),
)


def one(turns: Any, tokenizer: Any, **options: Any) -> Sequences:
    return sequences(text_column([tuple(turns)]), TinyBase(tokenizer), **options)


@st.composite
def conversations(draw: st.DrawFn, shape: Shape) -> tuple[Turn, ...]:
    """One to three exchanges that the shape allows, the last turn the assistant's."""
    turns = []
    if shape.system and draw(st.booleans()):
        turns.append(Turn("system", draw(TEXT)))
    for _ in range(draw(st.integers(1, 3))):
        turns.append(Turn("user", draw(TEXT)))
        if not shape.strict and draw(st.booleans()):
            turns.append(Turn("user", draw(TEXT)))
        turns.append(Turn("assistant", draw(TEXT)))
    return tuple(turns)


def trimmed(pieces: Pieces) -> Pieces:
    """Up to the last learned piece, where rows end."""
    last = max(place for place, (_, learned) in enumerate(pieces) if learned)
    return pieces[: last + 1]


def runs(found: Sequences) -> list[tuple[list[int], bool]]:
    """Tokens of one row in runs of learned and other tokens."""
    marks = found.learned.tolist()
    return [
        ([int(token) for token, _ in group], learned)
        for learned, group in itertools.groupby(
            zip(found.ids.tolist(), marks, strict=True), key=lambda pair: pair[1]
        )
    ]


def merged(pieces: Pieces) -> Pieces:
    return [
        ("".join(text for text, _ in group), learned)
        for learned, group in itertools.groupby(pieces, key=lambda piece: piece[1])
    ]


@pytest.mark.parametrize("kind", ["bpe", "trimming"])
@pytest.mark.parametrize("name", SHAPES)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_exactly_the_assistant_is_learned(name: str, kind: str, data: st.DataObject) -> None:
    """Bytes to tokens and back: every run of tokens gives its piece of the text, to the byte."""
    shape = SHAPES[name]
    turns = data.draw(conversations(shape))
    tokenizer = make_tokenizer(kind, name)
    wanted = trimmed(shape.pieces(turns))
    found = one(turns, tokenizer)
    decoded = [(tokenizer.decode(ids), learned) for ids, learned in runs(found)]
    assert decoded == merged(wanted)
    whole = tokenizer.apply_chat_template(
        [turn._asdict() | {"content": turn.text} for turn in turns], tokenize=False
    )
    assert whole.startswith("".join(text for text, _ in wanted)), "the telling fits the template"


@pytest.mark.parametrize("name", SHAPES)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_exactly_the_assistant_is_learned_by_wordpiece(name: str, data: st.DataObject) -> None:
    """A tokenizer that loses blanks and case: the tokens are those of the pieces one by one."""
    shape = SHAPES[name]
    turns = data.draw(conversations(shape))
    tokenizer = make_tokenizer("wordpiece", name)
    wanted = [
        (tokenizer(text, add_special_tokens=False)["input_ids"], learned)
        for text, learned in merged(trimmed(shape.pieces(turns)))
    ]
    assert runs(one(turns, tokenizer)) == [(ids, learned) for ids, learned in wanted if ids]


@pytest.mark.parametrize("kind", ["bpe", "trimming", "wordpiece"])
@pytest.mark.parametrize("name", [*SHAPES, None])
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_what_is_asked_begins_what_is_learned(
    name: str | None, kind: str, data: st.DataObject
) -> None:
    """The model goes on from the very tokens that stood before the answer in training."""
    tokenizer = make_tokenizer(kind, name, pads=True)
    turns: tuple[Turn, ...] = (Turn("user", data.draw(TEXT)), Turn("assistant", data.draw(TEXT)))
    if name is not None:
        turns = data.draw(conversations(SHAPES[name]))
    row = text_column([turns])
    base = TinyBase(tokenizer)
    (before,) = asked_ids(row, base, new_tokens=5)
    whole = sequences(row, base)
    assert whole.ids[: len(before)].tolist() == before.tolist()
    assert not whole.learned[: len(before)][-1:].any()
    assert whole.learned[len(before) :].all(), "what follows is the last answer, whole"


@pytest.mark.parametrize("kind", ["bpe", "wordpiece"])
def test_marks_of_templates_that_have_them_say_the_same(kind: str) -> None:
    tokenizer = copy.deepcopy(make_tokenizer(kind, "qwen"))
    turns = (
        Turn("system", "Be brief."),
        Turn("user", "Where is my parcel?"),
        Turn("assistant", "The answer is 42."),
        Turn("user", "Is it?"),
        Turn("assistant", "as everyone knows"),
    )
    tokenizer.chat_template = MARKED_CHATML
    theirs = tokenizer.apply_chat_template(
        [{"role": turn.role, "content": turn.text} for turn in turns],
        return_dict=True,
        return_assistant_tokens_mask=True,
    )
    ours = one(turns, tokenizer)
    end = len(ours.ids)
    assert ours.ids.tolist() == theirs["input_ids"][:end]
    assert ours.learned.tolist() == [bool(mark) for mark in theirs["assistant_masks"][:end]]
    assert not any(theirs["assistant_masks"][end:])


def with_template(template: str) -> Any:
    tokenizer = copy.deepcopy(make_tokenizer("bpe", "qwen"))
    tokenizer.chat_template = template
    return tokenizer


ASKED = (Turn("user", "Is it?"), Turn("assistant", "Yes."))
TWICE = (*ASKED, Turn("user", "Really?"), Turn("assistant", "No."))


NO_THOUGHT = "<think>\n\n</think>\n\n"
THOUGHT = (*ASKED[:1], Turn("assistant", "<think>Hm.</think>Yes."))


@pytest.mark.parametrize("thinks", [False, True])
def test_templates_that_add_an_empty_thought_to_the_last_turn(thinks: bool) -> None:
    """It is asked, in training and in writing; where rows come with thoughts of their own it is
    for the model to write what stands there."""
    tokenizer = with_template(QWEN3)
    base = TinyBase(tokenizer, thinks=thinks)
    found = sequences(text_column([TWICE]), base)
    learned = [tokenizer.decode(ids) for ids, marked in runs(found) if marked]
    own = NO_THOUGHT if thinks else ""
    assert learned == ["Yes.<|im_end|>", own + "No.<|im_end|>"]
    (before,) = asked_ids(text_column([TWICE]), base, new_tokens=1)
    opening = "Really?<|im_end|>\n<|im_start|>assistant\n"
    assert tokenizer.decode(before).endswith(opening + ("" if thinks else NO_THOUGHT))
    assert found.ids[: len(before)].tolist() == before.tolist()


@pytest.mark.parametrize("thinks", [False, True])
@pytest.mark.parametrize("text", ["<think>Hm.</think>Yes.", NO_THOUGHT + "Yes."])
def test_a_thought_in_the_last_turn_is_learned(thinks: bool, text: str) -> None:
    tokenizer = with_template(QWEN3)
    turns = (*ASKED[:1], Turn("assistant", text))
    found = sequences(text_column([turns]), TinyBase(tokenizer, thinks=thinks))
    learned = [tokenizer.decode(ids) for ids, marked in runs(found) if marked]
    thought = "\nHm.\n" if "Hm" in text else "\n\n"
    assert learned == [f"<think>{thought}</think>\n\nYes.<|im_end|>"]


def test_rows_with_thoughts_are_told_from_rows_without() -> None:
    def found(*rows: Any, template: str = QWEN3) -> bool:
        return hold_thoughts(text_column(list(rows)), TinyBase(with_template(template)))

    assert found(ASKED, THOUGHT)
    assert not found(ASKED, TWICE)
    assert not found((Turn("user", "<think></think>?"), ASKED[1]))
    assert not found(THOUGHT, template=SHAPES["qwen"].template), "there it is a text as any other"


@pytest.mark.parametrize("name", [*SHAPES, "always"])
def test_only_what_is_no_blank_is_asked_ahead_of_an_answer(name: str) -> None:
    template = THINKS_ALWAYS if name == "always" else SHAPES[name].template
    tokenizer = copy.deepcopy(make_tokenizer("bpe", "qwen" if name == "always" else name))
    tokenizer.chat_template = template
    assert Chat(tokenizer).ahead == (NO_THOUGHT if name == "qwen3" else "")


def test_a_thought_that_the_template_takes_away_later_is_refused() -> None:
    turns = (*ASKED[:1], Turn("assistant", "<think>Hm.</think>Yes."), *TWICE[2:])
    with pytest.raises(ModelError, match=r"leaves out part of the assistant's turn 2.*in row 1; "):
        one(turns, with_template(QWEN3))


def test_templates_whose_opening_begins_a_thought() -> None:
    """Rows on record have no thought, so they are asked and learned from where it would begin."""
    tokenizer = with_template(THINKS_ALWAYS)
    found = one(TWICE, tokenizer)
    learned = [tokenizer.decode(ids) for ids, marked in runs(found) if marked]
    assert learned == ["Yes.<|im_end|>", "No.<|im_end|>"]
    (before,) = asked_ids(text_column([TWICE]), TinyBase(tokenizer), new_tokens=1)
    assert tokenizer.decode(before).endswith("Really?<|im_end|>\n<|im_start|>assistant\n")


def test_templates_that_rewrite_what_was_said_are_refused() -> None:
    template = "{{ messages | length }}" + SHAPES["qwen"].template
    with pytest.raises(ModelError, match=r"rewrites the turns before turn 2.*in row 1; make each"):
        one(TWICE, with_template(template))


def test_templates_without_an_end_token_get_one() -> None:
    tokenizer = with_template(NO_END)
    learned = [tokenizer.decode(ids) for ids, marked in runs(one(TWICE, tokenizer)) if marked]
    assert learned == ["Yes.", "No.<|im_end|>"], "only the last turn can be ended by what follows"


def test_refusals_name_reason_rows_and_a_way_out() -> None:
    rows = [ASKED, (Turn("system", "Be brief."), *ASKED), (Turn("user", "a"), *ASKED)]
    with pytest.raises(ModelError) as caught:
        sequences(text_column(rows), TinyBase(make_tokenizer("bpe", "gemma")))
    assert caught.value.faults == (
        "tiny: the chat template refuses the turns (System role not supported) in row 2; put the "
        "system's text into the user's first turn",
        "tiny: the chat template refuses the turns (Conversation roles must alternate "
        "user/assistant/user/...) in row 3; order the turns as it wants them, or take a base with "
        "another template",
    )


# ── without a template ────────────────────────────────────────────────────────────────────────


def test_prompt_and_completion_without_a_template() -> None:
    tokenizer = make_tokenizer("bpe", None, pads=True)
    assert [(tokenizer.decode(ids), marked) for ids, marked in runs(one(ASKED, tokenizer))] == [
        ("<s>Is it?\n", False),
        ("Yes.</s>", True),
    ]


@settings(max_examples=30, deadline=None)
@given(prompt=TEXT, completion=TEXT)
def test_any_prompt_and_completion_without_a_template(prompt: str, completion: str) -> None:
    tokenizer = make_tokenizer("bpe", None)
    found = runs(one((Turn("user", prompt), Turn("assistant", completion)), tokenizer))
    pieces = [(f"{prompt}\n" if prompt else "", False), (f"{completion}</s>", True)]
    assert [(tokenizer.decode(ids), marked) for ids, marked in found] == [
        piece for piece in pieces if piece[0]
    ]


@pytest.mark.parametrize(("pads", "begin"), [(True, "<s>"), (False, "")])
def test_plain_text_is_learned_whole(pads: bool, begin: str) -> None:
    tokenizer = make_tokenizer("bpe", None, pads=pads)
    found = one((Turn("text", " It left.\n"),), tokenizer)
    wanted = [(begin, False)] * pads + [(" It left.\n</s>", True)]
    assert [(tokenizer.decode(ids), marked) for ids, marked in runs(found)] == wanted
    (before,) = asked_ids(
        text_column([(Turn("text", " It left.\n"),)]), TinyBase(tokenizer), new_tokens=3
    )
    assert tokenizer.decode(before) == (begin or "</s>"), "something to go on from"


def test_conversations_need_a_template() -> None:
    tool = (Turn("user", "a"), Turn("tool", "b"), Turn("assistant", "c"))
    rows, base = text_column([ASKED, TWICE, tool]), TinyBase(make_tokenizer("bpe", None))
    with pytest.raises(ModelError, match=r"chat template is missing.*in rows 2, 3; take a base"):
        sequences(rows, base)


def test_a_base_that_can_not_end_a_text_is_refused() -> None:
    tokenizer = copy.deepcopy(make_tokenizer("bpe", None))
    tokenizer.eos_token = None
    with pytest.raises(ModelError, match="no end token"):
        one(ASKED, tokenizer)


def test_special_tokens_are_listed() -> None:
    found = special_tokens(make_tokenizer("bpe", "llama3"))
    assert {"<|begin|>", "<|eot_id|>", "<|start_header_id|>", "<|end|>"} <= set(found)


# ── too long ──────────────────────────────────────────────────────────────────────────────────

LONG = (Turn("user", "Where is my parcel? " * 5), Turn("assistant", "The answer is 42."))


def test_the_beginning_of_what_is_asked_gives_way_first() -> None:
    tokenizer = make_tokenizer("bpe", None, pads=True)
    whole = one(LONG, tokenizer)
    cut = sequences(text_column([LONG, ASKED]), TinyBase(tokenizer, max_tokens=24))
    assert cut.lengths.tolist()[0] == 24
    assert cut.row(0)[0] == tokenizer.bos_token_id
    assert cut.row(0)[1:].tolist() == whole.ids[-23:].tolist()
    assert cut.learned_in(0).sum() == whole.learned.sum()
    assert cut.truncated == 1
    assert cut.cut.prompts == 1
    assert cut.cut.answers == 0
    assert cut.cut.tokens == len(whole.ids) - 24
    assert cut.cut.longest == len(whole.ids)
    said = cut.cut.says()
    assert said is not None
    assert "1 rows lost the beginning of what is asked" in said


def test_the_end_of_an_answer_that_is_too_long_alone_is_cut() -> None:
    tokenizer = make_tokenizer("bpe", None)
    turns = (LONG[0], Turn("assistant", "as everyone knows " * 20))
    whole = one(turns, tokenizer)
    cut = sequences(text_column([turns]), TinyBase(tokenizer, max_tokens=20))
    place = int(np.flatnonzero(whole.learned)[0])
    assert cut.ids.tolist() == whole.ids[place - 5 : place + 15].tolist()
    assert cut.learned.tolist() == [False] * 5 + [True] * 15
    assert tokenizer.eos_token_id not in cut.ids, "nothing is learned to end in mid-sentence"
    assert (cut.cut.prompts, cut.cut.answers, cut.truncated) == (1, 1, 1)


@pytest.mark.parametrize(("architecture", "refused"), [("bart", True), ("t5", False)])
def test_more_tokens_than_the_decoder_has_positions_are_refused(
    architecture: str, refused: bool, tmp_path: Path
) -> None:
    """T5 knows distances alone, and writes on."""
    folder = save_writing_base(tmp_path / architecture, architecture, 1)
    base = find_base(ModelConfig(name=str(folder)), writes=True)
    turns = text_column([(Turn("user", "play the music"), Turn("assistant", "loud"))])
    positions = getattr(base.config, "max_position_embeddings", 512)
    assert len(asked_tokens(turns, base, new_tokens=positions)) == 1
    if refused:
        with pytest.raises(SettingsError, match=f"more than the {positions} positions"):
            asked_tokens(turns, base, new_tokens=positions + 1)
    else:
        assert len(asked_tokens(turns, base, new_tokens=positions + 1)) == 1


@settings(max_examples=30, deadline=None)
@given(asked_tokens=st.integers(0, 30), answer_tokens=st.integers(1, 30), window=st.integers(2, 40))
def test_every_cut_fits_and_is_counted(asked_tokens: int, answer_tokens: int, window: int) -> None:
    from equipoise.models.writing.window import fitted

    ids = list(range(asked_tokens + answer_tokens))
    learned = [False] * asked_tokens + [True] * answer_tokens
    kept, marks, cut = fitted(ids, learned, window, min(1, asked_tokens))
    assert len(kept) == len(marks) == min(window, len(ids))
    assert cut.tokens == len(ids) - len(kept)
    assert kept == sorted(kept)
    assert any(marks)
    if asked_tokens:
        assert kept[0] == 0, "the beginning token stays"
    whole = marks.count(True) == answer_tokens
    fits = answer_tokens + min(1, asked_tokens) <= window
    assert whole == fits, "an answer that fits is kept whole"


def test_too_long_can_be_refused() -> None:
    base = TinyBase(make_tokenizer("bpe", None), max_tokens=20)
    with pytest.raises(DataError, match=r"1 rows are longer than 20 tokens.*\(row 2\)"):
        sequences(text_column([ASKED, LONG]), base, too_long="error")


def test_what_is_asked_leaves_room_for_what_is_written() -> None:
    tokenizer = make_tokenizer("bpe", None, pads=True)
    base = TinyBase(tokenizer, max_tokens=25, positions=30)
    tokens = asked_tokens(text_column([LONG, ASKED]), base, new_tokens=10)
    assert tokens.lengths.tolist()[0] == 20
    assert tokens.truncated == 1
    assert tokens.row(0)[0] == tokenizer.bos_token_id
    with pytest.raises(SettingsError, match="leave no room"):
        asked_tokens(text_column([LONG]), base, new_tokens=30)


# ── encoder-decoders ──────────────────────────────────────────────────────────────────────────


def test_encoder_decoders_read_and_write_apart() -> None:
    tokenizer = make_tokenizer("bpe", None, pads=True)
    base = TinyBase(tokenizer, two_parts=True)
    rows = text_column([(Turn("system", "Be brief."), *ASKED), LONG])
    found = sequences(rows, base)
    assert found.sources is not None
    assert tokenizer.decode(found.sources.row(0)) == "<s>Be brief.\nIs it?"
    assert tokenizer.decode(found.row(0)) == "<s>Yes.</s>"
    assert found.learned.all()
    asked_of = asked_ids(rows, base, new_tokens=3)
    assert [ids.tolist() for ids in asked_of] == [found.sources.row(k).tolist() for k in (0, 1)]


def test_what_a_translator_writes_has_pieces_of_its_own() -> None:
    """As Marian's tokenizers have, which are of two languages."""
    tokenizer = make_tokenizer("bpe", None)
    raw, reads = tokenizer.backend_tokenizer, normalizers.Replace("Sì", "Yes")
    raw.normalizer = reads
    tokenizer._switch_to_target_mode = lambda: setattr(
        raw, "normalizer", normalizers.Replace("Yes", "Sì")
    )
    tokenizer._switch_to_input_mode = lambda: setattr(raw, "normalizer", reads)
    asked_for = (Turn("user", "Yes?"), Turn("assistant", "Yes."))
    found = sequences(text_column([asked_for]), TinyBase(tokenizer, two_parts=True))
    assert found.sources is not None
    assert tokenizer.decode(found.sources.row(0)) == "Yes?"
    assert tokenizer.decode(found.row(0)) == "Sì.</s>"


def test_encoder_decoders_cut_both_sides() -> None:
    tokenizer = make_tokenizer("bpe", None)
    long = (LONG[0], Turn("assistant", "as everyone knows " * 20))
    found = sequences(
        text_column([ASKED, LONG, long]), TinyBase(tokenizer, two_parts=True, max_tokens=12)
    )
    assert found.sources is not None
    assert found.sources.lengths.max() == 12
    assert found.lengths.max() == 12
    assert found.truncated == found.sources.truncated == 2
    assert (found.cut.prompts, found.cut.answers) == (2, 1)
    with pytest.raises(ModelError, match="nothing for it to read"):
        sequences(text_column([(Turn("text", "a"),)]), TinyBase(tokenizer, two_parts=True))


def test_the_last_answer_is_measured_alone() -> None:
    tokenizer = make_tokenizer("bpe", "qwen")
    found = sequences(text_column([TWICE, ASKED]), TinyBase(tokenizer))
    ends = [
        len(tokenizer(f"{text}<|im_end|>", add_special_tokens=False)["input_ids"])
        for text in ("No.", "Yes.")
    ]
    assert found.answer_lengths.tolist() == ends
    apart = sequences(text_column([ASKED]), TinyBase(make_tokenizer("bpe", None), two_parts=True))
    assert apart.answer_lengths.tolist() == apart.lengths.tolist()


def test_rows_taken_keep_their_marks() -> None:
    found = sequences(text_column([ASKED, LONG]), TinyBase(make_tokenizer("bpe", None)))
    taken = found.take(np.array([1, 0, 1]))
    assert taken.row(2).tolist() == found.row(1).tolist()
    assert taken.learned_in(1).tolist() == found.learned_in(0).tolist()
    assert asked(ASKED) == ASKED[:1]
