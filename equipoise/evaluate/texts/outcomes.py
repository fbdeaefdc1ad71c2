"""What was written, as numbers per row, for the rows of one split."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from equipoise.errors import DataError
from equipoise.evaluate.texts.answers import answer_match, answer_pattern, exact_match
from equipoise.evaluate.texts.meteor import meteor_scorer, why_no_meteor
from equipoise.evaluate.texts.overlap import (
    BLEU_SUMS,
    CHRF_SUMS,
    bleu,
    bleu_sums,
    check_sacrebleu,
    check_tokenizer,
    chrf,
    chrf_sums,
    length_ratio,
)
from equipoise.evaluate.texts.rouge import rouge_l, rouge_n
from equipoise.records.written import Written
from equipoise.statistics.sums import Floats

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

LIKELIHOOD = ("loss", "bits_per_byte")
RIGHT = ("exact_match", "answer_match")
ROUGE = ("rouge_1", "rouge_2", "rouge_l")
_LEAVES_OUT = {"rouge_1": "ROUGE-1 and ROUGE-L leave", "rouge_2": "ROUGE-2 leaves"}
LIKENESS = ("bleu", "chrf", *ROUGE, "meteor", "length_ratio")
VARIETY = ("distinct_1", "distinct_2")
MEASURES = (*LIKELIHOOD, *RIGHT, *LIKENESS[:-1], *VARIETY, LIKENESS[-1])
NOT_WRITTEN = "no text was written: the rows were judged by their loss only"
NO_WORDS = "no written text holds a word"
NO_REFERENCE = "no row has a reference"


class Measured(NamedTuple):
    """A measure that is a function of sums over rows."""

    sums: Floats
    """(n, S) what each row adds."""
    value: Callable[[Floats], Floats]
    """(..., S) sums over any set of rows to (...,) values; NaN where no row tells."""
    rows: Bools
    """(n,) rows that count."""
    stands_for: Floats
    """(K,) rows for which each of a category's counts in sums over categories."""


@dataclass(frozen=True, eq=False)
class TextOutcomes:
    """n rows of K categories: those that have rows here, and those that were trained."""

    categories: tuple[str, ...]
    """K names, sorted."""
    category: Ints
    """(n,) position in `categories`."""
    clusters: Ints
    """(n,)."""
    written: NDArray[Any]
    """(n,) str, or None where nothing was written."""
    measured: dict[str, Measured]
    """LIKELIHOOD and LIKENESS, as far as they can be had."""
    right: dict[str, Floats]
    """RIGHT: (n,) 1 or 0, NaN where nobody knows."""
    stands_for: Floats
    """(K,) judged rows for each that was written: what is written is spread evenly over categories
    of any size, and measures over all rows are of the judged ones."""
    why: dict[str, str]
    """Measures that can't be had, and why."""
    notes: tuple[str, ...]

    @property
    def rows(self) -> Floats:
        """(K,)."""
        return np.bincount(self.category, minlength=len(self.categories)).astype(np.float64)

    @property
    def decoded(self) -> Bools:
        return np.array([text is not None for text in self.written], dtype=bool)


def text_outcomes(
    written: Written,
    *,
    trained: Mapping[str, int] | None = None,
    pattern: str | None = None,
    tokenize: str = "13a",
    only: str | None = None,
) -> TextOutcomes:
    """`only`: the one measure that is asked for; the others are left out, without a reason.

    Raises  DataError if there are no rows; SettingsError if the pattern or the tokenizer can't be
            used; MissingExtraError if texts were written and sacrebleu is not installed.
    """
    if len(written) == 0:
        raise DataError("there are no rows to judge; check the split's name and the file")
    names = sorted({*written.categories.tolist(), *(trained or {})})
    place = {name: k for k, name in enumerate(names)}
    category = np.array([place[c] for c in written.categories], dtype=np.int64)
    found = _Finding(written, tuple(names), category, tokenize, only)
    check_tokenizer(tokenize)
    expression = None if pattern is None else answer_pattern(pattern)
    found.likelihood()
    if found.judged.any():
        found.likeness()
    found.right_or_wrong(expression)
    return TextOutcomes(
        categories=tuple(names),
        category=category,
        clusters=written.clusters,
        written=written.written,
        measured=found.measured,
        right=found.right,
        stands_for=found.stands_for,
        why=found.why,
        notes=tuple(found.notes),
    )


class _Finding:
    """Gathers measures, and the reasons where there is none."""

    def __init__(
        self,
        written: Written,
        names: tuple[str, ...],
        category: Ints,
        tokenize: str,
        only: str | None,
    ) -> None:
        self.written, self.tokenize, self.only = written, tokenize, only
        self.decoded = np.array([text is not None for text in written.written], dtype=bool)
        told = np.array([len(texts) > 0 for texts in written.references], dtype=bool)
        self.judged = self.decoded & told
        self.measured: dict[str, Measured] = {}
        self.right: dict[str, Floats] = {}
        self.why: dict[str, str] = {}
        self.notes: list[str] = []
        n = len(written)
        if not self.decoded.any():
            self.why = dict.fromkeys((*RIGHT, *LIKENESS, *VARIETY), NOT_WRITTEN)
        elif not self.judged.any():
            self.why = dict.fromkeys((*RIGHT, *LIKENESS), NO_REFERENCE)
        if 0 < self.judged.sum() < n:
            unwritten, alone = int((~self.decoded).sum()), int((self.decoded & ~self.judged).sum())
            parts = [
                f"{count} of {n} rows {why}"
                for count, why in (
                    (unwritten, "have no written text (write.decode_rows: how many are written)"),
                    (alone, "have no reference"),
                )
                if count
            ]
            self.notes.append(f"{'; '.join(parts)}: measures of the texts leave them out")
        rows, decoded = (
            np.bincount(part, minlength=len(names)) for part in (category, category[self.decoded])
        )
        self.alike = np.ones(len(names))
        self.stands_for = np.where(decoded > 0, rows / np.maximum(decoded, 1), 1.0)
        if self.judged.any():
            self.notes += _spread_note(names, rows, decoded, self.stands_for)

    def wants(self, *names: str) -> bool:
        return self.only is None or self.only in names

    def likelihood(self) -> None:
        w = self.written
        known = ~np.isnan(w.log_probs)
        if not known.any():
            self.why |= dict.fromkeys(LIKELIHOOD, "no row has a log-probability")
            return
        if np.isinf(w.log_probs).any():
            impossible = f"infinite: {int(np.isinf(w.log_probs).sum())} rows have probability 0"
            self.why |= dict.fromkeys(LIKELIHOOD, impossible)
            return
        if not known.all():
            self.notes.append(
                f"{int((~known).sum())} of {len(w)} rows have no log-probability: loss and bits "
                "per byte leave them out"
            )
        nats = np.where(known, -w.log_probs, 0.0)
        for name, each, unit in (
            ("loss", w.tokens, 1.0),
            ("bits_per_byte", w.bytes, float(np.log(2))),
        ):
            self._mean(name, nats / unit, np.where(known, each, 0), known, self.alike)

    def likeness(self) -> None:
        """BLEU, chrF, ROUGE, METEOR and the length ratio of the rows that can be judged."""
        at = np.flatnonzero(self.judged)
        texts = [str(text) for text in self.written.written[at]]
        references = [[str(r) for r in of_row] for of_row in self.written.references[at]]
        if self.wants("bleu", "length_ratio", "chrf"):
            check_sacrebleu()
        if self.wants("bleu", "length_ratio"):
            sums = self._spread(bleu_sums(texts, references, tokenize=self.tokenize), BLEU_SUMS)
            self._text_measure("bleu", sums, _bleu)
            self._text_measure("length_ratio", sums, length_ratio)
        if self.wants("chrf"):
            sums = self._spread(chrf_sums(texts, references), CHRF_SUMS)
            self._text_measure("chrf", sums, _chrf)
        for n, name in enumerate(ROUGE[:2], start=1):
            if self.wants(name):
                self._rouge(name, rouge_n(texts, references, n))
        if self.wants("rouge_l"):
            each = [rouge_l(*row) for row in zip(texts, references, strict=True)]
            self._rouge("rouge_l", np.array(each, dtype=np.float64))
        if self.wants("meteor"):
            if why := why_no_meteor():
                self.why["meteor"] = why
                return
            score = meteor_scorer()
            values = np.array([score(*row) for row in zip(texts, references, strict=True)])
            self._mean(
                "meteor", self._spread(values), self.judged * 1.0, self.judged, self.stands_for
            )

    def _rouge(self, name: str, found: Floats) -> None:
        """found  (judged rows,), NaN where no reference has what is counted."""
        told = self._spread((~np.isnan(found)).astype(np.float64)) > 0
        silent = int(self.judged.sum() - told.sum())
        lacking = "two words" if name == "rouge_2" else "a word"
        if silent and name in _LEAVES_OUT:
            self.notes.append(
                f"{_LEAVES_OUT[name]} out {silent} rows of whose references none has {lacking} of "
                "the letters a-z and digits, all that ROUGE knows"
            )
        if not told.any():
            self.why[name] = (
                f"no reference has {lacking} of the letters a-z and digits, all that ROUGE knows"
            )
            return
        values = self._spread(np.nan_to_num(found))
        self._mean(name, values, told * 1.0, told, self.stands_for)

    def right_or_wrong(self, pattern: Any) -> None:
        if "exact_match" in self.why:
            return
        tests: dict[str, Callable[[str, Any], bool | None]] = {"exact_match": exact_match}
        if pattern is None:
            self.why["answer_match"] = "no pattern was given that says where the answer stands"
        else:
            tests["answer_match"] = lambda text, refs: answer_match(text, refs, pattern)
        for name, test in tests.items():
            hits = np.full(len(self.written), np.nan)
            for k in np.flatnonzero(self.judged):
                hit = test(self.written.written[k], self.written.references[k])
                hits[k] = np.nan if hit is None else float(hit)
            silent = int((np.isnan(hits) & self.judged).sum())
            if np.isnan(hits).all():
                self.why[name] = "the pattern is found in no reference"
                continue
            if silent:
                self.notes.append(
                    f"answer match leaves out {silent} rows in whose references the pattern is "
                    "not found"
                )
            self.right[name] = hits

    def _text_measure(self, name: str, sums: Floats, value: Callable[[Floats], Floats]) -> None:
        self.measured[name] = Measured(sums, value, self.judged, self.stands_for)

    def _mean(
        self, name: str, above: Floats, below: NDArray[Any], rows: Bools, stands_for: Floats
    ) -> None:
        sums = np.stack([above, below.astype(np.float64)], axis=1)
        self.measured[name] = Measured(sums, _ratio, rows, stands_for)

    def _spread(self, values: Floats, width: int | None = None) -> Floats:
        """Values of the judged rows, among zeros for the others."""
        shape = (len(self.written),) if width is None else (len(self.written), width)
        spread = np.zeros(shape)
        spread[self.judged] = values
        return spread


def _spread_note(
    names: tuple[str, ...], rows: Ints, decoded: Ints, stands_for: Floats
) -> list[str]:
    """What measures over all rows are of, where what is written is no image of what is judged."""
    told = np.flatnonzero(decoded)
    least, most = told[[stands_for[told].argmin(), stands_for[told].argmax()]]
    missing = [names[k] for k in np.flatnonzero((decoded == 0) & (rows > 0))]
    notes = []
    if stands_for[least] != stands_for[most]:
        notes.append(
            "the written rows are spread evenly over the categories, whatever their sizes: in "
            "measures of the texts over all rows each stands for as many judged rows as its "
            f"category has for every written one ({stands_for[least]:.3g} of {names[least]!r}, "
            f"{stands_for[most]:.3g} of {names[most]!r}); distinct words and word pairs alone are "
            "those of the written rows as they are"
        )
    if missing:
        notes.append(
            f"no row of {', '.join(missing)} was written: measures of the texts leave "
            f"{'it' if len(missing) == 1 else 'them'} out; raise write.decode_rows"
        )
    return notes


def _ratio(sums: Floats) -> Floats:
    above, below = sums[..., 0], sums[..., 1]
    ratio: Floats = np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)
    return ratio


def _bleu(sums: Floats) -> Floats:
    """NaN where there is no row: no reference has a length."""
    return np.where(sums[..., :2].any(axis=-1), bleu(sums), np.nan)


def _chrf(sums: Floats) -> Floats:
    return np.where(sums[..., :3].any(axis=-1), chrf(sums), np.nan)
