"""Which tokens end a text that is written."""

from __future__ import annotations

from typing import Any

from equipoise.models.writing.chat import Chat


def end_ids(body: Any, tokenizer: Any, *, two_parts: bool) -> list[int]:
    """Sorted ids: what the base names as its ends, the tokenizer's end of text, and what its chat
    template puts behind an answer, which is what a decoder learns to stop with (the decoder of an
    encoder-decoder learns the end of text whatever the template).

    Chat templates often close a turn with a token that neither base nor tokenizer names as an end:
    unless it stops there, a model goes on with turns of its own making.
    """
    given = getattr(body.generation_config, "eos_token_id", None)
    ends = [*(given if isinstance(given, list) else [given]), tokenizer.eos_token_id]
    if not two_parts and getattr(tokenizer, "chat_template", None):
        closing = Chat(tokenizer).closing
        ends.append(None if closing is None else tokenizer.convert_tokens_to_ids(closing))
    return sorted({int(end) for end in ends if end is not None})
