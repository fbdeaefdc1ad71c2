"""The synonyms of English words, read from a folder of WordNet as it is published.

nltk's own reader takes ten seconds to open and refuses folders outside its own; METEOR asks it for
synonyms only. This one opens in about a second and reads a word's synonyms when they are asked for.

Source  the manual pages wndb(5WN) and morphy(7WN) of WordNet 3.0.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NamedTuple

KINDS = ("noun", "verb", "adj", "adv")
NEEDED = tuple(f"{part}.{kind}" for kind in KINDS for part in ("index", "data"))
_ENDINGS: dict[str, tuple[tuple[str, str], ...]] = {
    "noun": (
        *(("s", ""), ("ses", "s"), ("ves", "f"), ("xes", "x"), ("zes", "z")),
        *(("ches", "ch"), ("shes", "sh"), ("men", "man"), ("ies", "y")),
    ),
    "verb": (
        *(("s", ""), ("ies", "y"), ("es", "e"), ("es", "")),
        *(("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", "")),
    ),
    "adj": (("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
    "adv": (),
}
"""What may be taken off a word, and put in its place, to find it in the index."""


class Lemma(NamedTuple):
    word: str

    def name(self) -> str:
        return self.word


class Synset(NamedTuple):
    """Words of like meaning, with the methods by which nltk's METEOR asks for them."""

    words: tuple[Lemma, ...]

    def lemmas(self) -> tuple[Lemma, ...]:
        return self.words


@dataclass(frozen=True, eq=False)
class WordNet:
    index: dict[str, dict[str, tuple[int, ...]]]
    """Kind to word to where its meanings begin in the kind's data."""
    data: dict[str, bytes]
    exceptions: dict[str, dict[str, tuple[str, ...]]]
    """Kind to irregular form to its words."""
    known: dict[str, list[Synset]] = field(default_factory=dict)
    """Words asked for before."""

    def synsets(self, word: str) -> list[Synset]:
        """The single words that share a meaning with a word, or with what its endings may be of.

        All meanings together, since METEOR takes their union: that of "set" is 30 times shorter.
        """
        word = word.lower()
        if word not in self.known:
            found = {
                synonym
                for kind in KINDS
                for form in self._forms(word, kind)
                for at in self.index[kind].get(form, ())
                for synonym in _words_at(self.data[kind], at)
                if "_" not in synonym
            }
            self.known[word] = [Synset(tuple(map(Lemma, sorted(found))))] if found else []
        return self.known[word]

    def _forms(self, word: str, kind: str) -> list[str]:
        irregular = self.exceptions[kind].get(word)
        if irregular is None:
            irregular = tuple(
                word.removesuffix(old) + new for old, new in _ENDINGS[kind] if word.endswith(old)
            )
        return list(dict.fromkeys((word, *irregular)))


def _words_at(data: bytes, at: int) -> tuple[str, ...]:
    """`offset file type count(hex) word number word number ...`; adjectives may say in brackets
    where they stand: "galore(ip)"."""
    fields = data[at : data.index(b"\n", at)].decode("utf-8").split(" ")
    count = int(fields[3], 16)
    return tuple(word.split("(")[0] for word in fields[4 : 4 + 2 * count : 2])


@cache
def read_wordnet(folder: Path) -> WordNet:
    """A folder that holds NEEDED; exceptions (noun.exc ...) are read where they are."""
    index, data, exceptions = {}, {}, {}
    for kind in KINDS:
        index[kind] = dict(_entries((folder / f"index.{kind}").read_text(encoding="utf-8")))
        data[kind] = (folder / f"data.{kind}").read_bytes()
        file = folder / f"{kind}.exc"
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        exceptions[kind] = {form: tuple(rest) for form, *rest in map(str.split, lines) if rest}
    return WordNet(index, data, exceptions)


def _entries(text: str) -> list[tuple[str, tuple[int, ...]]]:
    """`word kind meanings pointers ... offset offset`; the licence before them is indented."""
    found = []
    for line in text.splitlines():
        if not line.startswith(" ") and line:
            fields = line.split()
            found.append((fields[0], tuple(map(int, fields[-int(fields[2]) :]))))
    return found


def find_wordnet() -> Path | None:
    """Where WordNet is: what its own variables WNSEARCHDIR and WNHOME say, Debian's folder, or
    among nltk's data (unpacked)."""
    places = [Path("/usr/share/wordnet")]
    if home := os.environ.get("WNHOME"):
        places.insert(0, Path(home) / "dict")
    if named := os.environ.get("WNSEARCHDIR"):
        places.insert(0, Path(named))
    given = os.environ.get("NLTK_DATA", "").split(os.pathsep)
    for root in (*filter(None, given), str(Path.home() / "nltk_data"), "/usr/share/nltk_data"):
        places.append(Path(root) / "corpora" / "wordnet")
    return next((p for p in places if all((p / name).is_file() for name in NEEDED)), None)
