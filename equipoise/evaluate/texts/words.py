"""Texts as words, for measures that count or align them."""

from __future__ import annotations

import re

_WORD = re.compile(r"\w+|[^\w\s]+")
_ROUGE_WORD = re.compile(r"[a-z0-9]+")


def words(text: str) -> list[str]:
    """Runs of letters and digits of any script, and of marks, in lower case.

    >>> words("Où est-il ? Là !")
    ['où', 'est', '-', 'il', '?', 'là', '!']
    """
    return _WORD.findall(text.lower())


def rouge_words(text: str) -> list[str]:
    """The words that ROUGE knows: runs of a-z and 0-9, everything else being a gap.

    Source  Lin 2004, ROUGE: a package for automatic evaluation of summaries; as the package
            rouge-score cuts words, without its stemmer.

    >>> rouge_words("A café, 3.5 stars")
    ['a', 'caf', '3', '5', 'stars']
    """
    return _ROUGE_WORD.findall(text.lower())
