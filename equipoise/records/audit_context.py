"""What an audit found of texts, groups and times."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class ClassLength(_Part):
    name: str
    rows: int
    median: float
    """Tokens, or words where there is no tokenizer."""
    high: float
    """The 95th percentile."""
    cut: int
    """Rows longer than the limit."""
    cut_low: float
    """Lower bound of their share."""


class Lengths(_Part):
    unit: Literal["tokens", "words"]
    limit: int | None
    """Tokens after which a row is cut; None where there is no tokenizer."""
    classes: list[ClassLength]


class ClassLanguage(_Part):
    name: str
    tokens: int = 0
    """Tokens of its rows, special ones included."""
    words: int
    """Words of the rows looked at."""
    unknown: float
    """Share of tokens that the tokenizer has no piece for."""
    broken: float
    """Share of words that fall into pieces of hardly a letter."""


class Language(_Part):
    rows: int
    """Rows whose words were looked at."""
    unknown: float
    broken: float
    classes: list[ClassLanguage]


class Spoken(_Part):
    declared: list[str]
    """ISO 639 codes of the languages that the base model was made for."""
    sampled: int
    """Rows looked at."""
    rows: int
    """Of these, rows long enough to tell."""
    outside: float
    """Share of the latter in none of those languages."""
    others: dict[str, float]
    """The languages these rows are likeliest in, each with its share of `rows`, most first."""


class ClassGroups(_Part):
    name: str
    groups: int
    """Groups that hold a row of the class."""
    largest: str
    largest_share: float
    """Share of the class's rows in its largest group."""
    effective: float
    """As many equally large groups hold rows as unequally."""


class Groups(_Part):
    groups: int
    rows: int
    """Rows that have a group."""
    in_large: float
    """Share of them in groups of five rows or more."""
    association: float
    """Cramér's V of group and class, corrected for chance: 0 unrelated, 1 the group tells it."""
    p: float
    classes: list[ClassGroups]
    largest: list[dict[str, Any]]
    """The largest groups: {"name", "rows", "classes": {class: rows}}."""


class Period(_Part):
    since: str
    until: str
    rows: int
    counts: dict[str, int]
    """Rows per class."""
    new_words: float
    """Share of words that no earlier period holds."""


class Drift(_Part):
    column: str
    periods: list[Period]
    shares_moved: float
    """Total variation distance between the class shares of the first and the second half."""
    shares_p: float
    words_new: float
    """Share of words in the last period that no earlier one holds."""
    words_expected: float
    """The same, were the rows in random order."""
    words_p: float
    vectors_auc: float | None
    """How well a direction in the encoder's space tells early rows of a class from late ones: 0.5
    not at all; None without an encoder."""
    vectors_low: float | None
    """Lower bound of it."""
