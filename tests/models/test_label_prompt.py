"""How rows are asked for their label: prompts, words, chat templates, room, untuned models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.errors import ModelError, SettingsError
from equipoise.models.config import ModelConfig
from equipoise.models.label_prompt import LabelPrompt, label_prompt
from equipoise.models.load import find_base
from equipoise.models.prompted import prompted_logits
from tests.models.label_bases import (
    CLASSES,
    TEXTS,
    by_brute_force,
    make_pieces,
    make_text,
    save_writer,
)
from tests.models.tiny import make_tokenizer

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
MISTRAL = (
    "<s>{% for m in messages %}{% if m['role'] == 'user' %}[INST] {{ m['content'] }} [/INST]"
    "{% else %} {{ m['content'] }}</s>{% endif %}{% endfor %}"
)
TOKENIZER = make_pieces()


def prompt_of(
    classes: tuple[str, ...] = CLASSES,
    *,
    tokenizer: Any = TOKENIZER,
    max_tokens: int = 256,
    examples: tuple[tuple[str, str], ...] = (),
    **said: Any,
) -> LabelPrompt:
    config = ModelConfig(name="tiny", head="text", method="full", **said)
    return label_prompt(tokenizer, config, classes, max_tokens, examples)


def asked(prompt: LabelPrompt, text: str) -> str:
    """What a row's prompt says, its special tokens included."""
    tokens = prompt.read(np.array([text], dtype=object))
    said: str = prompt.tokenizer.decode(tokens.row(0)[: -len(prompt.tree)])
    return said


def written(prompt: LabelPrompt) -> list[str]:
    return [prompt.tokenizer.decode(prompt.tree.label(k)) for k in range(len(prompt.tree.paths))]


class TestPrompt:
    def test_what_is_asked_and_what_may_be_written(self) -> None:
        prompt = prompt_of(("card_fee", "bank"))
        assert asked(prompt, "the bank") == "<s>the bank\nLabel:"
        assert written(prompt) == [" card fee</s>", " bank</s>"]

    def test_rows_end_with_the_tree(self) -> None:
        prompt = prompt_of()
        tokens = prompt.read(np.array(TEXTS, dtype=object))
        for i, text in enumerate(TEXTS):
            ids = TOKENIZER(f"{text}\nLabel:")["input_ids"]
            assert tokens.row(i).tolist() == [*ids, *prompt.tree.tokens]
        assert tokens.truncated == 0
        assert tokens.unknown_share == 0

    def test_words_of_the_user_s_own(self) -> None:
        prompt = prompt_of(
            ("a_1", "b"), label_words={"b": "bank card"}, label_prompt="Message: {text}\nTopic: "
        )
        assert asked(prompt, "hi {text}") == "<s>Message: hi {text}\nTopic: "
        assert written(prompt) == ["a 1</s>", "bank card</s>"]

    def test_a_closing_token_of_the_tokenizer_is_left_out(self) -> None:
        prompt = prompt_of(("bank", "card"), tokenizer=make_tokenizer(), label_prompt="{text} is")
        assert asked(prompt, "the bank") == "[CLS] the bank is"
        assert written(prompt) == ["bank [SEP]", "card [SEP]"]

    def test_examples_stand_before_every_row_with_their_answers(self) -> None:
        prompt = prompt_of(("card_fee", "bank"), examples=(("my fee", "card_fee"),))
        assert asked(prompt, "hi") == "<s>my fee\nLabel: card fee\n\nhi\nLabel:"

    @pytest.mark.parametrize(
        ("template", "says", "writes"),
        [
            (
                CHATML,
                "<|im_start|>user\nhi\nLabel:<|im_end|>\n<|im_start|>assistant\n",
                ["bank<|im_end|>", "card<|im_end|>"],
            ),
            (MISTRAL, "<s>[INST] hi\nLabel: [/INST]", [" bank</s>", " card</s>"]),
        ],
    )
    def test_chat_templates(self, template: str, says: str, writes: list[str]) -> None:
        tokenizer = make_pieces()
        tokenizer.add_tokens(["<|im_start|>", "<|im_end|>"], special_tokens=True)
        tokenizer.chat_template = template
        prompt = prompt_of(("bank", "card"), tokenizer=tokenizer, label_chat=True)
        assert asked(prompt, "hi") == says
        assert written(prompt) == writes

    def test_an_example_may_hold_what_stands_for_the_text(self) -> None:
        tokenizer = make_pieces()
        tokenizer.add_tokens(["<|im_start|>", "<|im_end|>"], special_tokens=True)
        tokenizer.chat_template = CHATML
        examples = (("use {text}", "bank"),)
        prompt = prompt_of(
            ("bank", "card"), tokenizer=tokenizer, label_chat=True, examples=examples
        )
        shown = tokenizer.decode(
            tokenizer("use {text}\nLabel: bank", add_special_tokens=False)["input_ids"]
        )
        assert f"user\n{shown}\n\nhi\nLabel:" in asked(prompt, "hi")


class TestRoom:
    @settings(deadline=None, max_examples=40)
    @given(text=st.text(min_size=1, max_size=80), limit=st.integers(30, 60))
    def test_the_text_is_cut_from_its_left_until_the_longest_label_fits(
        self, text: str, limit: int
    ) -> None:
        prompt = prompt_of(max_tokens=limit, label_prompt="Read: {text}\nLabel:")
        tokens = prompt.read(np.array([text], dtype=object))
        whole = TOKENIZER(f"Read: {text}\nLabel:")["input_ids"]
        ids = tokens.row(0)[: -len(prompt.tree)].tolist()
        room = limit - prompt.tree.depth
        assert len(ids) == min(len(whole), room)
        assert tokens.truncated == (len(whole) > room)
        head, tail = TOKENIZER("Read:")["input_ids"], len(ids) - 4
        assert ids[: len(head)] == head
        assert ids[tail:] == whole[len(whole) - 4 :]
        if tokens.truncated:
            assert ids == whole[: (n := _shared(ids, whole))] + whole[len(whole) - (room - n) :]

    def test_a_prompt_that_leaves_none_is_refused(self) -> None:
        with pytest.raises(ModelError, match=r"takes \d+ tokens and the longest label \d+, of 20"):
            prompt_of(max_tokens=20, label_prompt="please read this with care: {text}\nLabel:")


def _shared(ids: list[int], whole: list[int]) -> int:
    return next(i for i in range(len(ids) + 1) if i == len(ids) or ids[i] != whole[i])


class TestFaults:
    def test_labels_that_are_written_alike(self) -> None:
        with pytest.raises(SettingsError, match="classes 'a_b' and 'a b': both are written 'a b'"):
            prompt_of(("a_b", "a b"))

    def test_every_fault_at_once(self) -> None:
        with pytest.raises(SettingsError) as raised:
            prompt_of(("a", "b", "c"), label_words={"a": " ", "b": "x</s>", "c": "</s>"})
        assert len(raised.value.faults) == 3
        assert "without a word" in raised.value.faults[0]
        assert "holds the end token" in raised.value.faults[1]

    def test_words_for_no_class(self) -> None:
        with pytest.raises(SettingsError, match="class 'd' is not in the training rows"):
            prompt_of(("a", "b"), label_words={"d": "e"})

    def test_no_end_token(self) -> None:
        tokenizer = make_pieces()
        tokenizer.eos_token = None
        with pytest.raises(ModelError, match="has no end token"):
            prompt_of(tokenizer=tokenizer)

    def test_no_chat_template_or_a_strange_one(self) -> None:
        with pytest.raises(ModelError, match="has no chat template"):
            prompt_of(label_chat=True)
        tokenizer = make_pieces()
        tokenizer.chat_template = "{{ messages[-1]['content'] }}"
        with pytest.raises(ModelError, match="one behind the other"):
            prompt_of(tokenizer=tokenizer, label_chat=True)

    @pytest.mark.parametrize(
        ("said", "fault"),
        [
            ({"label_prompt": "Label:"}, "must hold {text} once"),
            ({"label_prompt": "{text} {text}"}, "must hold {text} once"),
            ({"method": "head"}, "method head trains our own head"),
            ({"method": "prefix"}, "method prefix puts virtual tokens"),
            ({"method": "prompt"}, "method prompt puts virtual tokens"),
            ({"head": "linear", "label_words": {"a": "b"}}, "label_words is only for head text"),
            ({"head": "linear", "label_chat": True}, "label_chat is only for head text"),
        ],
    )
    def test_settings(self, said: dict[str, Any], fault: str) -> None:
        with pytest.raises(ValueError, match=fault):
            ModelConfig(**({"head": "text", "method": "full"} | said))


class TestPrompted:
    CLASSES = ("bank", "card", "music", "a")
    PROMPTS = ("{text}\nLabel:", "Text: {text}\nTopic:")

    @pytest.fixture(scope="class")
    def folder(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        return save_writer(tmp_path_factory.mktemp("prompted") / "llama", "llama")

    @pytest.mark.parametrize("examples", [(), (("my song", "music"), ("the fee", "bank"))])
    def test_scores_are_the_mean_posterior_of_the_prompts(
        self, folder: Path, examples: tuple[tuple[str, str], ...]
    ) -> None:
        classifier, base, _, _ = make_text(folder, self.CLASSES)
        texts = np.array(TEXTS, dtype=object)
        found = prompted_logits(base, texts, self.CLASSES, self.PROMPTS, examples)
        wanted = np.zeros_like(found)
        tokenizer = base.tokenizer
        for wording in self.PROMPTS:
            shown = "".join(f"{wording.format(text=t)} {name}\n\n" for t, name in examples)
            asked = [tokenizer(shown + wording.format(text=t))["input_ids"] for t in TEXTS]
            labels = [
                [*tokenizer(f" {name}", add_special_tokens=False)["input_ids"], 2]
                for name in self.CLASSES
            ]
            scores = by_brute_force(classifier, asked, labels)
            p = np.exp(scores - scores.max(1, keepdims=True))
            wanted += p / p.sum(1, keepdims=True) / 2
        np.testing.assert_allclose(np.exp(found), wanted, rtol=0, atol=1e-5)
        np.testing.assert_allclose(np.exp(found).sum(1), 1, rtol=0, atol=1e-9)

    def test_calibrated_texts_without_content_favour_nothing(self, folder: Path) -> None:
        config = ModelConfig(name=str(folder), head="text", method="full")
        base = find_base(config)
        one = np.array(["N/A", "[MASK]", "-"], dtype=object)
        plain = np.exp(prompted_logits(base, one, self.CLASSES, self.PROMPTS[:1]))
        mended = np.exp(prompted_logits(base, one, self.CLASSES, self.PROMPTS[:1], calibrated=True))
        assert np.abs(plain.mean(0) - 0.25).max() > 0.1
        assert np.abs(mended.mean(0) - 0.25).max() < np.abs(plain.mean(0) - 0.25).max() / 2

    def test_no_prompt_is_refused(self, folder: Path) -> None:
        base = find_base(ModelConfig(name=str(folder), head="text", method="full"))
        with pytest.raises(SettingsError, match="give at least one"):
            prompted_logits(base, np.array(TEXTS, dtype=object), self.CLASSES, ())
