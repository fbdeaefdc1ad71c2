"""What the texts are like: cut, in a strange language, repeated."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from equipoise.audit.given import Given, Mask, TokenFacts
from equipoise.audit.language import DO, says_strange, strange_classes
from equipoise.audit.repeats import SHOWN, Repeated
from equipoise.audit.say import percent, rows_
from equipoise.audit.spoken import Heard, language_name, says_foreign
from equipoise.records.audit import Example, Finding
from equipoise.records.audit_context import Language, Lengths

CUT = 0.05
"""Share of a class's rows that must be cut, at its lower bound."""
_SAYING = 3
"""Words that a quoted row has at least, if it has no unknown token."""


def cut_texts(given: Given, lengths: Lengths) -> Iterator[Finding]:
    """Classes of which surely more than CUT of the rows are longer than the window."""
    cut = sorted((c for c in lengths.classes if c.cut_low > CUT), key=lambda c: -c.cut / c.rows)
    if not cut or lengths.limit is None:
        return
    given = given.once
    assert given.tokens is not None, "there is a limit only where there is a tokenizer"
    size = given.tokens.lengths
    longest = np.argsort(-size, kind="stable")[:SHOWN].tolist()
    total = int((size > lengths.limit).sum())
    shown = ", ".join(f"{c.name!r} {percent(c.cut / c.rows)}" for c in cut[:3])
    lost = "the end" if given.noun == "class" else "the beginning of what is asked"
    yield Finding(
        kind="cut",
        weight="look",
        says=f"{rows_(total)} {'is' if total == 1 else 'are'} longer than {lengths.limit:,} tokens "
        f"and lose{'s' if total == 1 else ''} {lost}, most in {shown}",
        do=f"raise model.max_tokens if the model's window allows it and {lost} matters",
        rows=total,
        classes=[c.name for c in cut],
        examples=[
            given.example(row, f"{size[row]:,} tokens, cut after {lengths.limit:,}")
            for row in longest
            if size[row] > lengths.limit
        ],
    )


def strange_language(given: Given, language: Language | None) -> Iterator[Finding]:
    """Classes with more unknown tokens or broken words than a known language has."""
    if language is None or not (strange := strange_classes(language.classes)):
        return
    own = np.isin(given.labels, [given.classes.index(c.name) for c in strange])
    yield Finding(
        kind="language",
        weight="serious" if len(strange) > len(language.classes) / 2 else "look",
        says=says_strange(strange, "the base model"),
        do=DO,
        rows=given.how_many(own),
        classes=[c.name for c in strange],
        examples=_broken_rows(given, own),
    )


def _broken_rows(given: Given, own: Mask) -> list[Example]:
    """Of the rows those with the largest shares of broken words and unknown tokens."""
    tokens = given.tokens
    assert tokens is not None, "language is measured where there is a tokenizer"
    saying = (tokens.words >= _SAYING) | (tokens.unknown > 0)
    rows = given.each_once(np.flatnonzero(own & saying))
    share = tokens.broken[rows] / np.maximum(tokens.words[rows], 1)
    share += tokens.unknown[rows] / tokens.lengths[rows]
    worst = rows[np.argsort(-share, kind="stable")][:SHOWN].tolist()
    return [given.example(row, _pieces(tokens, row)) for row in worst]


def _pieces(tokens: TokenFacts, row: int) -> str:
    unknown = f"{tokens.unknown[row]:,} of {tokens.lengths[row]:,} tokens unknown"
    words = int(tokens.words[row])
    return (
        f"{tokens.broken[row]:,} of {rows_(words, 'word')} broken up, {unknown}"
        if words
        else (unknown)
    )


def other_languages(given: Given, heard: Heard | None) -> Iterator[Finding]:
    """More than a fifth of the rows in languages that the base model was not made for."""
    if heard is None or not heard.foreign:
        return
    given, surest = given.once, zip(heard.rows.tolist(), heard.languages, strict=True)
    yield Finding(
        kind="other_language",
        weight="serious" if heard.record.outside > 0.5 else "look",
        says=says_foreign(heard.record, "the base model"),
        do=DO,
        rows=len(heard.rows),
        classes=[],
        examples=[
            given.example(row, f"likeliest {language_name(code)}")
            for row, code in itertools.islice(surest, SHOWN)
        ],
    )


def duplicates(given: Given, repeated: Repeated) -> Iterator[Finding]:
    """Any text that occurs twice, or pair of look-alikes."""
    r = repeated.record
    if not r.repeated and not r.alike_pairs:
        return
    share = r.repeated / len(given)
    alike = f"{rows_(r.alike_pairs, 'pair')} of texts look alike"
    says = (
        f"{rows_(r.repeated)} ({percent(share)}) repeat{'s' if r.repeated == 1 else ''} an earlier "
        f"text; {alike}"
        if r.repeated
        else alike
    )
    yield Finding(
        kind="duplicates",
        weight="look" if share >= 0.05 else "note",
        says=says,
        do=f"nothing, if they repeat in use as well; {_kept_together(repeated.apart)}",
        rows=r.repeated,
        classes=[],
        examples=repeated.duplicates,
    )


def _kept_together(apart: int) -> str:
    if not apart:
        return "every split keeps them on one side, and intervals count them once"
    return (
        "every split keeps equal texts on one side, and look-alikes but for "
        f"{rows_(apart, 'pair')} at which long chains of them are cut; intervals count once what "
        "stays together"
    )
