"""Settings of runs whose target is text."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, field_validator

Weigh = Literal["token", "row", "category"]


class _Settings(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )


class DecodeConfig(_Settings):
    """How texts are written."""

    new_tokens: PositiveInt = 128
    """Most tokens written per row; the end token ends a text before that."""
    temperature: float = Field(default=0.0, ge=0)
    """0: always the likeliest token; above it tokens are drawn."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Draw from the likeliest tokens that hold this share of the probability."""
    beams: PositiveInt = 1
    """Texts kept in view by beam search; 1: none beside the one that is written."""
    repetition_penalty: PositiveFloat = 1.0
    """Above 1 tokens that the text holds already lose; those of what is asked do not."""
    batch_rows: PositiveInt = 32
    """Rows written at once."""


class KeepConfig(_Settings):
    """What holds on to what the base can do already. Frozen lower layers (method `light`) and
    `train.l2_sp` do so too."""

    general: str | None = None
    """File of texts unlike the rows, on which the loss is measured before and after: of a form
    that rows come in (.jsonl, .csv, ...), with a column `text` or those of rows to be written."""
    replay: str | None = None
    """File of texts, in the same form, of which some join every step; a decoder is given what is
    longer than its window in pieces, each of which counts as a row. `light` then caches no states:
    every step runs through the frozen layers."""
    replay_share: float = Field(default=0.1, gt=0, lt=1)
    """Share of a step's rows that are replayed. Where write.weigh is `token` their share of the
    loss is another, by their length: at 0.1 texts of 250 tokens beside answers of 30 are half of
    it."""
    kl: float = Field(default=0.0, ge=0)
    """Added to the loss of every learned token: kl × KL(base's next token, the model's). Takes a
    second pass, through the base."""
    interpolate: float = Field(default=1.0, ge=0, le=1)
    """Weights in the end: 1 as trained, 0 as the base came, between them a mixture of the two
    (WiSE-FT, arXiv:2109.01903)."""


class WriteConfig(_Settings):
    """How rows whose target is text are fed and judged. Of no effect where rows are classified, but
    for special_tokens."""

    weigh: Weigh = "token"
    """What counts the same in the loss: every learned token, every row whatever its length, or
    every category whatever its tokens."""
    packing: bool = True
    """Let rows share a line where that leaves less padding; they never attend to each other."""
    too_long: Literal["left", "error"] = "left"
    """What happens to a row longer than max_tokens: `left` cuts what is asked from its beginning,
    and the answer's end only where the answer alone is too long; `error` refuses it."""
    special_tokens: Literal["error", "allow"] = "error"
    """Whether a text that contains the tokenizer's special tokens, which could forge a turn, is
    refused. Holds for rows that are classified, too, where `model.head=text` makes prompts of
    them."""
    keep: KeepConfig = KeepConfig()
    """What holds on to what the base can do already."""
    decode: DecodeConfig = DecodeConfig()
    """How the judged rows are written."""
    decode_rows: int = Field(default=500, ge=0)
    """Judged rows that are written, drawn by the seed, evenly over the categories; the others are
    judged by their loss alone. 0: none. Measures over all rows weigh each category by its rows."""
    pattern: str | None = None
    """Regular expression that finds the answer in a text, for answer_match: its first group, or
    the whole match; numbers are compared as numbers."""

    tokenize: Literal["13a", "intl", "zh", "char", "none"] = "13a"
    """How sacrebleu cuts texts into words, for BLEU and the length ratio: `13a` for languages that
    part words by spaces, `zh` for Chinese, `char` for others that do not."""

    @field_validator("pattern")
    @classmethod
    def _pattern_compiles(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is no regular expression ({error})") from None
        return pattern
