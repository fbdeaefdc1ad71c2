"""Tiny models that write, with a tokenizer of bytes and pieces, so that labels take several tokens
and share their beginnings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from equipoise.models.classifier import SequenceClassifier
from equipoise.models.config import ModelConfig
from equipoise.models.feed import Feed
from equipoise.models.label_prompt import LabelPrompt, label_prompt
from equipoise.models.label_text import LabelText
from equipoise.models.load import Base, find_base
from equipoise.models.methods import build_classifier
from tests.models.tiny import WORDS, make_config

CLASSES = ("card", "card_charge", "card_charges", "bank", "bank card", "Gebühr", "支払い", "a")
"""Several tokens each; some are the beginning of others, some share their first tokens."""
TEXTS = ("the bank", "please play my song in the kitchen", "naïve Ümlaut – 支払い 🎵", "a")
_WINDOW = 256


def make_pieces() -> Any:
    """A byte-level BPE tokenizer with some merges, a start token, no closing one."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<pad>", "<s>", "</s>"]
    trainer = trainers.BpeTrainer(
        vocab_size=330,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([" ".join(WORDS), *TEXTS, "Label: Label:"], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        model_max_length=_WINDOW,
    )


def save_writer(folder: Path, architecture: str, layers: int = 3, **changed: Any) -> Path:
    """A base with its language-model head, as save_pretrained leaves it."""
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    tokenizer = make_pieces()
    config = make_config(architecture, layers)
    ids = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    length = "n_positions" if architecture == "gpt2" else "max_position_embeddings"
    for name, value in {"vocab_size": len(tokenizer), length: _WINDOW, **ids, **changed}.items():
        setattr(config, name, value)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            # Drawn narrowly every score would be about the same, whatever the prompt.
            parameter.add_((0.1 if parameter.ndim == 1 else 0.2) * torch.randn_like(parameter))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_text(
    folder: Path, classes: tuple[str, ...] = CLASSES, *, seed: int = 0, **settings: Any
) -> tuple[LabelText, Base, LabelPrompt, list[str]]:
    """Classifier that writes labels, base, prompt and notes."""
    config = ModelConfig(name=str(folder), head="text", **({"method": "full"} | settings))
    base = find_base(config)
    classifier, notes = build_classifier(base, config, len(classes), seed, names=classes)
    assert isinstance(classifier, LabelText)
    return classifier, base, label_prompt(base.tokenizer, config, classes, base.max_tokens), notes


def text_feed(
    base: Base,
    prompt: LabelPrompt,
    texts: NDArray[Any] | tuple[str, ...],
    labels: NDArray[np.int64] | None = None,
    states: Any = None,
) -> Feed:
    return Feed(
        tokens=prompt.read(np.array(texts, dtype=object)),
        labels=np.zeros(len(texts), np.int64) if labels is None else labels,
        weights=np.ones(len(texts)),
        states=states,
        pad_id=base.tokenizer.pad_token_id,
    )


@torch.no_grad()
def by_brute_force(
    classifier: SequenceClassifier, prompts: list[list[int]], labels: list[list[int]]
) -> NDArray[np.float64]:
    """(rows, K) log p(label, end | prompt): every sequence alone, by the whole model as it is."""
    body: Any = classifier.body
    classifier.eval()
    scores = np.empty((len(prompts), len(labels)))
    for i, prompt in enumerate(prompts):
        for k, label in enumerate(labels):
            ids = torch.tensor([prompt + label])
            log_p = body(input_ids=ids).logits[0].double().log_softmax(-1)
            steps = range(len(label))
            scores[i, k] = sum(float(log_p[len(prompt) - 1 + t, label[t]]) for t in steps)
    return scores
