"""An untuned decoder asked for the label: what fine-tuning must beat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from equipoise.errors import ModelError, SettingsError
from equipoise.models.config import ModelConfig
from equipoise.models.feed import Feed
from equipoise.models.label_prompt import LabelPrompt, label_prompt
from equipoise.models.label_text import LabelText, takes_tree
from equipoise.models.load import Base, load_body
from equipoise.models.outputs import predict_feed
from equipoise.models.save import default_device

_WITHOUT_CONTENT = ("N/A", "[MASK]", "-")
"""Texts that say nothing, so that the scores are what prompt and label words alone make of them."""

Floats = NDArray[np.float64]


def prompted_logits(
    base: Base,
    texts: NDArray[Any],
    classes: Sequence[str],
    prompts: Sequence[str],
    examples: Sequence[tuple[str, str]] = (),
    *,
    words: Mapping[str, str] | None = None,
    calibrated: bool = False,
) -> Floats:
    """Log-probabilities (rows, K) of the classes, nothing trained: under each prompt the softmax
    over classes of the log-probability of label and end token; their mean over the prompts.

    prompts     Each holds {text} once; the label is written behind.
    examples    (text, class) of answered prompts put before every row's own; none: zero-shot. They
                must fit into `base.max_tokens` beside the row.
    words       What is written for a class; its name where nothing is said.
    calibrated  Divide each prompt's probabilities by those of texts without content, which mends
                what it favours whatever the text (Zhao et al. 2021, arXiv:2102.09690).
    Raises SettingsError or ModelError as `label_prompt`, and ModelError if the base can't write.
    """
    if not prompts:
        raise SettingsError("prompts: give at least one, such as '{text}\\nLabel:'")
    body, drawn = load_body(base, writes=True)
    if drawn or not base.causal:
        raise ModelError(f"{base.name}: can't write; give a base published as a language model")
    body.to(default_device())
    total = np.zeros((len(texts), len(classes)))
    for wording in prompts:
        settings = ModelConfig(
            name=base.name,
            method="full",
            head="text",
            label_prompt=wording,
            label_words=None if words is None else dict(words),
        )
        prompt = label_prompt(base.tokenizer, settings, classes, base.max_tokens, examples)
        model = LabelText(body, prompt.tree).to(default_device()).eval()
        model.one_pass = takes_tree(model)
        log_p = _log_posterior(model, base, prompt, texts)
        if calibrated:
            nothing = np.array(_WITHOUT_CONTENT, dtype=object)
            bias = np.exp(_log_posterior(model, base, prompt, nothing)).mean(axis=0)
            log_p = _normalised(log_p - np.log(bias))
        total += np.exp(log_p) / len(prompts)
    # A probability may be too small for a float64; its logarithm must not be infinite.
    return np.asarray(np.log(np.maximum(total, np.finfo(np.float64).tiny)))


def _log_posterior(
    model: LabelText, base: Base, prompt: LabelPrompt, texts: NDArray[Any]
) -> Floats:
    tokens = prompt.read(texts)
    feed = Feed(
        tokens=tokens,
        labels=np.full(len(tokens), -1),
        weights=np.ones(len(tokens)),
        states=None,
        pad_id=base.tokenizer.pad_token_id or 0,
    )
    return _normalised(predict_feed(model, feed))


def _normalised(scores: Floats) -> Floats:
    """(rows, K) scores less the logarithm of the sum of their exponentials."""
    out: Floats = torch.from_numpy(scores).log_softmax(1).numpy()
    return out
