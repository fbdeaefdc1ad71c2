"""Numbers and lists in words: one way of writing each, for text, tables and charts alike."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Sequence

from markupsafe import Markup

from equipoise.records.scores import Estimate

MINUS = "\N{MINUS SIGN}"
NONE = "\N{EM DASH}"

MEASURES = {
    "macro_f1": "Macro F1",
    "micro_f1": "Micro F1",
    "balanced_accuracy": "Balanced accuracy",
    "accuracy": "Accuracy",
    "weighted_f1": "Weighted F1",
    "mcc": "Matthews correlation",
    "g_mean": "Geometric mean of recalls",
    "macro_average_precision": "Macro average precision",
    "macro_roc_auc": "Macro ROC AUC",
    "macro_recall": "Macro recall",
    "macro_precision": "Macro precision",
    "hamming_loss": "Hamming loss",
    "log_loss": "Log loss",
    "brier": "Brier score",
    "ece": "Expected calibration error",
    "expected_cost": "Expected cost per 1,000 rows",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
    "average_precision": "Average precision",
}
TEXT_MEASURES = {
    "loss": "Loss",
    "bits_per_byte": "Bits per byte",
    "exact_match": "Exact match",
    "answer_match": "Answer match",
    "bleu": "BLEU",
    "chrf": "chrF",
    "rouge_1": "ROUGE-1",
    "rouge_2": "ROUGE-2",
    "rouge_l": "ROUGE-L",
    "meteor": "METEOR",
    "distinct_1": "Distinct words",
    "distinct_2": "Distinct word pairs",
    "length_ratio": "Length ratio",
}
"""Of written texts; each also as the mean over categories, `macro_...`."""
MEASURES |= TEXT_MEASURES | {
    f"macro_{key}": f"Macro {name if name[1].isupper() else name[0].lower() + name[1:]}"
    for key, name in TEXT_MEASURES.items()
}
LOWER_IS_BETTER = frozenset(
    {"log_loss", "brier", "ece", "expected_cost", "hamming_loss"}
    | {f"{of}{name}" for name in ("loss", "bits_per_byte") for of in ("", "macro_")}
)
_OF_100 = ("bleu", "chrf")
"""Measures on a scale to 100, of which two decimals say enough."""

SPLITS = {"train": "training", "validation": "validation", "test": "test"}


def measure_name(name: str) -> str:
    """
    >>> measure_name("net_benefit:class=fraud,threshold=0.1"), measure_name("python:my.gain@c0ffee")
    ('Net benefit (class=fraud, threshold=0.1)', 'Own measure “gain”')
    >>> measure_name("macro_f1"), measure_name("tail_hits"), measure_name("recall:fraud")
    ('Macro F1', 'Tail hits', 'Recall of “fraud”')
    """
    kind, colon, of = name.partition(":")
    if kind == "python":
        return f"Own measure “{of.partition('@')[0].rpartition('.')[2]}”"
    if "=" in of:
        return f"{measure_name(kind)} ({of.replace(',', ', ')})"
    if colon:
        return f"{measure_name(kind)} of “{of}”"
    return MEASURES.get(name, name.replace("_", " ").capitalize())


def in_sentence(name: str) -> str:
    """A name inside a sentence.

    >>> in_sentence("Macro F1"), in_sentence("TF-IDF"), in_sentence("Brier score")
    ('macro F1', 'TF-IDF', 'Brier score')
    """
    keep = name.split(" ")[0] in {"F1", "Brier", "Matthews"} or name[1:2].isupper()
    return name if keep else name[:1].lower() + name[1:]


def number(value: float | None, measure: str = "", digits: int | None = None) -> str:
    """Three decimals, or `digits`; two of measures to 100; of costs, which have no scale of their
    own, four significant figures.

    >>> number(0.87149), number(-0.01), number(None)
    ('0.871', '−0.010', '—')
    >>> number(1234.5, "expected_cost"), number(4.0, "expected_cost"), number(23.416, "macro_bleu")
    ('1,234', '4', '23.42')
    """
    if value is None:
        return NONE
    if measure == "expected_cost":
        places = 3 - math.floor(math.log10(abs(value))) if value else 0
        if digits is None or places < 4:
            digits = min(max(places, 0), 4)
        text = f"{value:,.{digits}f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
        return text.replace("-", MINUS)
    text = f"{value:.{_digits(measure) if digits is None else digits}f}"
    return (text.replace("-", "") if float(text) == 0 else text).replace("-", MINUS)


def _digits(measure: str) -> int:
    return 2 if measure.removeprefix("macro_") in _OF_100 else 3


def digits_for(values: Iterable[float | None], figures: int = 2, least: int = 3) -> int:
    """Decimals, `least` or more, that show the largest of the values with that many significant
    figures: what stands together has one number of them, and none stands in powers of ten.

    >>> digits_for([0.31, 0.002]), digits_for([0.0004, -0.00003, None]), digits_for([0, 0])
    (3, 5, 3)
    """
    top = max((abs(value) for value in values if value is not None), default=0)
    if not top:
        return least
    return min(max(least, figures - 1 - math.floor(math.log10(top))), MOST_DIGITS)


MOST_DIGITS = 8


def signed(value: float | None, measure: str = "", digits: int | None = None) -> str:
    """
    >>> signed(0.0213), signed(-0.5), signed(0.0)
    ('+0.021', '−0.500', '0.000')
    """
    text = number(value, measure, digits)
    return f"+{text}" if value and value > 0 and text.strip("0.,") else text


def interval(
    low: float | None,
    high: float | None,
    measure: str = "",
    sign: bool = False,
    digits: int | None = None,
) -> str:
    """
    >>> interval(0.8, 0.9), interval(None, None), interval(-0.02, 0.1, sign=True)
    ('0.800 to 0.900', '—', '−0.020 to +0.100')
    """
    if low is None or high is None:
        return NONE
    show = signed if sign else number
    return f"{show(low, measure, digits)} to {show(high, measure, digits)}"


def gap(
    value: float | None, low: float | None, high: float | None, measure: str = ""
) -> tuple[str, str]:
    """A difference and its interval, both with signs, in as many decimals as they need: a bound
    beyond 0 is not shown as 0.

    >>> gap(0.0213, -0.001, 0.04), gap(0.00259, 0.00004, 0.00433), gap(-0.2, None, None)
    (('+0.021', '−0.001 to +0.040'), ('+0.00259', '+0.00004 to +0.00433'), ('−0.200', '—'))
    >>> gap(-0.00003, -0.00005, -0.00001, "expected_cost")
    ('−0.00003', '−0.00005 to −0.00001')
    """
    digits = digits_for((value, low, high), least=_digits(measure))
    if low is not None and high is not None and low * high > 0:
        nearest = min(abs(low), abs(high))
        while digits < MOST_DIGITS and not round(nearest, digits):
            digits += 1
    return signed(value, measure, digits), interval(low, high, measure, sign=True, digits=digits)


def estimate(value: Estimate, measure: str = "") -> str:
    """
    >>> estimate(Estimate(0.5, 0.4, 0.6))
    '0.500 (0.400 to 0.600)'
    >>> estimate(Estimate(0.5, why="2 rows"))
    '0.500 (no interval)'
    """
    if value.value is None:
        return "not defined"
    bounds = interval(value.low, value.high, measure)
    return f"{number(value.value, measure)} ({'no interval' if bounds == NONE else bounds})"


def percent(share: float) -> str:
    """
    >>> percent(0.0312), percent(0.5), percent(1.0), percent(0.9999), percent(0.0001)
    ('3.1 %', '50 %', '100 %', '> 99.9 %', '< 0.1 %')
    """
    if 0.999 < share < 1:
        return "> 99.9 %"
    if 0 < share < 0.001:
        return "< 0.1 %"
    return f"{100 * share:.1f}".removesuffix(".0") + " %"


def ratio(value: float) -> str:
    """
    >>> ratio(3309.2), ratio(2.46), ratio(40)
    ('3,309 : 1', '2.5 : 1', '40 : 1')
    """
    return f"{value:,.0f} : 1" if value >= 10 else f"{value:.1f} : 1"


def count(n: int | float, one: str, many: str | None = None) -> str:
    """
    >>> count(1, "row"), count(1200, "row"), count(2, "class", "classes")
    ('1 row', '1,200 rows', '2 classes')
    """
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def seconds(value: float) -> str:
    """
    >>> seconds(0.001), seconds(0.04), seconds(4.26), seconds(76.4), seconds(4000)
    ('< 0.01 s', '0.04 s', '4.3 s', '76 s', '1 h 7 min')
    """
    if value < 0.005:
        return "< 0.01 s"
    if value < 1:
        return f"{value:.2f} s"
    if value < 10:
        return f"{value:.1f} s"
    if value < 180:
        return f"{value:.0f} s"
    minutes = round(value / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def memory(size: int) -> str:
    """
    >>> memory(512), memory(1_500_000), memory(3_221_225_472)
    ('512 B', '1.4 MiB', '3.0 GiB')
    """
    value, units = float(size), ["B", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1024 and len(units) > 1:
        value, units = value / 1024, units[1:]
    return f"{value:.0f} B" if units[0] == "B" else f"{value:.1f} {units[0]}"


def listed(names: Iterable[str], limit: int = 8, each: int | None = None) -> str:
    """each  Characters of a name.

    >>> listed(["a"]), listed("abc"), listed("abcd", limit=2), listed(["abcdef"], each=4)
    ('a', 'a, b and c', 'a, b and 2 more', 'abc…')
    """
    items: Sequence[str] = [name if each is None else short(name, each) for name in names]
    if len(items) > limit:
        return f"{', '.join(items[:limit])} and {len(items) - limit:,} more"
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def clean(text: str) -> str:
    """Text as HTML may hold it: what a file can't show (control characters, lone surrogates,
    characters that turn the direction of the writing) becomes a visible mark.

    >>> clean("a\\x00b\\u202ec"), clean("one\\ntwo")
    ('a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c', 'one\\ntwo')
    """
    if text.isprintable():
        return text
    return "".join("\N{REPLACEMENT CHARACTER}" if _hidden(letter) else letter for letter in text)


_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def _hidden(letter: str) -> bool:
    return letter in _TURNS or (
        letter not in "\n\t" and unicodedata.category(letter) in {"Cc", "Cs"}
    )


def short(text: str, limit: int = 80) -> str:
    """
    >>> short("abcdef", 4), short("abcd", 4)
    ('abc…', 'abcd')
    """
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def breakable(text: str) -> Markup:
    """A name as HTML, escaped, that may break after its joints rather than within a word.

    >>> breakable("gift_card<b>")
    Markup('gift_<wbr>card&lt;b&gt;')
    """
    joints = str.maketrans({mark: f"{mark}\x00" for mark in "_/.:-+"})
    pieces = clean(text).translate(joints).split("\x00")
    return Markup("<wbr>").join(piece for piece in pieces if piece)
