"""Tiny tokenizers that carry chat templates of the well-known shapes, and what those should give.

`SHAPES` has for each template the jinja text and a plain Python telling of it: the text in
pieces, each with whether the model learns to write it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from equipoise.records.turns import Turn

Pieces = list[tuple[str, bool]]

SENTENCES = (
    "Where is my parcel? It left the warehouse on Monday.",
    "You are a helpful assistant. Be brief.",
    "The answer is 42, as everyone knows.",
    "user assistant system model tool\n\n",
    "Günter's naïve café – 東京 😀 costs £10.50!",
) * 3


@dataclass(frozen=True)
class Shape:
    template: str
    special: tuple[str, ...]
    bos: str | None
    eos: str
    pieces: Callable[[Sequence[Turn]], Pieces]
    system: bool = True
    """Whether it takes a system's turn."""
    strict: bool = False
    """Whether user and assistant must alternate."""


LLAMA3 = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'"
    " + message['content'] | trim + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}"
    "{% endif %}"
)
CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
MARKED_CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['role'] == 'assistant' %}{% generation %}"
    "{{ message['content'] + '<|im_end|>' }}{% endgeneration %}"
    "{% else %}{{ message['content'] + '<|im_end|>' }}{% endif %}{{ '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/...') }}{% endif %}"
    "{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}"
    "{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/...') }}{% endif %}"
    "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
    "{% else %}{{ ' ' + message['content'] + eos_token }}{% endif %}{% endfor %}"
)
QWEN3 = (
    "{% set ns = namespace(last=-1) %}{% for message in messages %}"
    "{% if message['role'] == 'user' %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}"
    "{% for message in messages %}{% set content = message['content'] %}"
    "{% if message['role'] == 'assistant' %}{% set thought = '' %}"
    "{% if '</think>' in content %}"
    "{% set thought = content.split('</think>')[0].split('<think>')[-1].strip('\n') %}"
    "{% set content = content.split('</think>')[-1].lstrip('\n') %}{% endif %}"
    "{{ '<|im_start|>assistant\n' }}{% if loop.last and loop.index0 > ns.last %}"
    "{{ '<think>\n' + thought + '\n</think>\n\n' }}{% endif %}{{ content + '<|im_end|>\n' }}"
    "{% else %}{{ '<|im_start|>' + message['role'] + '\n' + content + '<|im_end|>\n' }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
THINKS_ALWAYS = CHATML.replace("assistant\n' }}", "assistant\n<think>\n' }}")
NO_END = (
    "{% for message in messages %}{{ '### ' + message['role'] + ':\n' }}"
    "{{ message['content'] + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '### assistant:\n' }}{% endif %}"
)


def llama3(turns: Sequence[Turn]) -> Pieces:
    out: Pieces = [("<|begin|>", False)]
    for role, text in turns:
        out += [
            (f"<|start_header_id|>{role}<|end_header_id|>\n\n", False),
            (text.strip() + "<|eot_id|>", role == "assistant"),
        ]
    return out


def chatml(turns: Sequence[Turn]) -> Pieces:
    out: Pieces = []
    for role, text in turns:
        out += [
            (f"<|im_start|>{role}\n", False),
            (f"{text}<|im_end|>", role == "assistant"),
            ("\n", False),
        ]
    return out


def qwen3(turns: Sequence[Turn]) -> Pieces:
    """The empty thought before the last answer is the template's own, whatever is answered."""
    out = chatml(turns)
    answer = max(place for place, (_, learned) in enumerate(out) if learned)
    out.insert(answer, ("<think>\n\n</think>\n\n", False))
    return out


def gemma(turns: Sequence[Turn]) -> Pieces:
    out: Pieces = [("<bos>", False)]
    for role, text in turns:
        out += [
            (f"<start_of_turn>{'model' if role == 'assistant' else role}\n", False),
            (f"{text.strip()}<end_of_turn>", role == "assistant"),
            ("\n", False),
        ]
    return out


def mistral(turns: Sequence[Turn]) -> Pieces:
    out: Pieces = [("<s>", False)]
    for role, text in turns:
        # The blank before the answer is written by the model, too: nothing opens with it.
        own = f"[INST] {text} [/INST]" if role == "user" else f" {text}</s>"
        out.append((own, role == "assistant"))
    return out


SHAPES = {
    "llama3": Shape(
        LLAMA3,
        ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|end|>"),
        "<|begin|>",
        "<|end|>",
        llama3,
    ),
    "qwen": Shape(
        CHATML, ("<|im_start|>", "<|im_end|>", "<|endoftext|>"), None, "<|im_end|>", chatml
    ),
    "qwen3": Shape(
        QWEN3, ("<|im_start|>", "<|im_end|>", "<|endoftext|>"), None, "<|im_end|>", qwen3
    ),
    "gemma": Shape(
        GEMMA,
        ("<start_of_turn>", "<end_of_turn>", "<eos>"),
        "<bos>",
        "<eos>",
        gemma,
        system=False,
        strict=True,
    ),
    "mistral": Shape(
        MISTRAL, ("[INST]", "[/INST]", "</s>"), "<s>", "</s>", mistral, system=False, strict=True
    ),
}


@cache
def make_tokenizer(kind: str, shape: str | None, *, pads: bool = False) -> Any:
    """A "bpe" (bytes, every text comes back), "trimming" (the same, whose places leave blanks out)
    or "wordpiece" tokenizer with a shape's template and special tokens; None: no template.

    pads  Whether the tokenizer puts its beginning token before a text.
    """
    from tokenizers import (
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        processors,
        trainers,
    )
    from transformers import PreTrainedTokenizerFast

    found = SHAPES[shape] if shape else Shape("", ("</s>",), "<s>", "</s>", mistral)
    special = [*filter(None, [found.bos]), *found.special]
    special = list(dict.fromkeys([*special, found.eos, "<unk>", "<pad>"]))
    trainer: Any
    if kind == "wordpiece":
        raw = Tokenizer(models.WordPiece(unk_token="<unk>"))
        raw.normalizer = normalizers.BertNormalizer(lowercase=True)
        raw.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(
            vocab_size=300, special_tokens=special, show_progress=False
        )
    else:
        raw = Tokenizer(models.BPE())
        raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        raw.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=500,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
    raw.train_from_iterator(SENTENCES, trainer)
    steps: list[Any] = []
    if kind == "trimming":
        steps.append(processors.ByteLevel(trim_offsets=True))
    if pads and found.bos:
        steps.append(
            processors.TemplateProcessing(
                single=f"{found.bos} $A", special_tokens=[(found.bos, raw.token_to_id(found.bos))]
            )
        )
    if steps:
        raw.post_processor = processors.Sequence(steps)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw,
        bos_token=found.bos,
        eos_token=found.eos,
        unk_token="<unk>",
        pad_token="<pad>",
        additional_special_tokens=list(found.special),
    )
    if shape:
        tokenizer.chat_template = found.template
    return tokenizer


@dataclass(frozen=True)
class TinyBase:
    """What templates need of a base."""

    tokenizer: Any
    max_tokens: int = 10_000
    two_parts: bool = False
    positions: int | None = None
    virtual_tokens: int = 0
    thinks: bool = False
    name: str = "tiny"

    @property
    def config(self) -> Any:
        return _Config(self.positions)


@dataclass(frozen=True)
class _Config:
    max_position_embeddings: int | None

    def get_text_config(self) -> _Config:
        return self
