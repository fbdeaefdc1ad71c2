"""What an audit is handed: rows end to end, and what an encoder and its tokenizer say of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.audit.say import Noun
from equipoise.data.look_alikes import Links
from equipoise.errors import ShapeError
from equipoise.records.audit import Example
from equipoise.records.rows import Column

TEXT = 280
"""Characters of a quoted text."""
TRAIN, VALIDATION, TEST = "train", "validation", "test"

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
_BY_ROW = (
    "ids",
    "texts",
    "turns",
    "learned",
    "labels",
    "parts",
    "roles",
    "clusters",
    "text_clusters",
    "row",
    "groups",
    "times",
    "time_cells",
    "vectors",
    "probe",
    "training_probe",
)


@dataclass(frozen=True, eq=False)
class TokenFacts:
    """What the tokenizer makes of each of n rows, uncut."""

    lengths: Ints
    """(n,) tokens, special ones included."""
    limit: int
    """Tokens after which a row is cut."""
    unknown: Ints
    """(n,) tokens that it has no piece for."""
    words: Ints
    """(n,) words looked at; 0 for rows outside the sample."""
    broken: Ints
    """(n,) of these, words that fall into pieces of hardly a letter."""


@dataclass(frozen=True, eq=False)
class Given:
    """n rows of all given parts, K classes (those of every part, sorted by name)."""

    ids: Column
    texts: Column
    labels: Ints
    """(n,) position in `classes`."""
    classes: tuple[str, ...]
    parts: Column
    """(n,) str, the part that the row came in: "all", "train", "validation" or "test"."""
    roles: Column
    """(n,) str, what the row would do in a run: "train", "validation", "test", or "" if it would
    be left out."""
    clusters: Ints
    """(n,) rows with one number repeat, look alike or share a group."""
    turns: Column | None = None
    """(n,) tuple of Turn, where rows are written; `texts` are then what is asked, `classes` the
    categories."""
    learned: Ints | None = None
    """(n,) tokens, or words where there is no tokenizer, that are learned of each row that is
    written."""
    text_clusters: Ints | None = None
    """(n,) the same by texts alone; None: `clusters` are of texts alone."""
    links: Links | None = None
    """Pairs of texts that look alike, by the number of the text in order of first appearance;
    None: they are not known yet."""
    row: Ints | None = None
    """(n,) number in `whole` of the row that each stands for, where rows stand once for each of
    their labels; None: each for itself."""
    whole: Given | None = None
    """Those rows, each once."""
    groups: Column | None = None
    """(n,) str, "" for none."""
    times: Floats | None = None
    """(n,) seconds, or any number that grows with time."""
    time_column: str = ""
    time_cells: Column | None = None
    """(n,) the times as written."""
    vectors: NDArray[np.float32] | None = None
    """(n, d) of the encoder."""
    probe: Floats | None = None
    """(n, K) log-probabilities of a balanced probe that was trained without the row and all rows
    of its cluster; NaN in the rows and columns where there was none."""
    training_probe: Floats | None = None
    """The same of a probe that was trained on training rows alone, for those; NaN elsewhere."""
    tokens: TokenFacts | None = None
    languages: tuple[str, ...] = ()
    """ISO 639 codes of those that the base model was made for; empty where it declares none."""
    costs: Floats | None = None
    """(K, K) per (true, decided), if mistakes have a price."""
    cost_unit: str = ""
    cost_doubts: tuple[str, ...] = ()
    """What the costs hardly mean."""
    undivided: tuple[str, ...] = ()
    """Why a run could not divide the rows, if so."""
    keep_texts: bool = True
    """Whether examples may quote texts."""

    def __post_init__(self) -> None:
        n = len(self.ids)
        for name in _BY_ROW:
            column = getattr(self, name)
            if column is not None and len(column) != n:
                raise ShapeError(f"{name} has {len(column)} entries, ids has {n}")
        if self.probe is not None and self.probe.shape[1] != len(self.classes):
            raise ShapeError(
                f"probe has {self.probe.shape[1]} columns; expected {len(self.classes)}, one per "
                "class"
            )

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, index: Ints) -> Given:
        """The rows at `index`, in that order, with all that is known of them."""
        changed: dict[str, Any] = {
            name: column[index] for name in _BY_ROW if (column := getattr(self, name)) is not None
        }
        changed["links"] = None  # they go by the numbers of all texts
        if self.tokens is not None:
            t = self.tokens
            changed["tokens"] = TokenFacts(
                t.lengths[index], t.limit, t.unknown[index], t.words[index], t.broken[index]
            )
        return replace(self, **changed)

    @property
    def noun(self) -> Noun:
        """What `classes` are to whoever reads of them."""
        return "class" if self.turns is None else "category"

    def counts(self, role: str | None = None) -> Ints:
        """(K,) rows of each class, of one role or of all."""
        labels = self.labels if role is None else self.labels[self.roles == role]
        return np.bincount(labels, minlength=len(self.classes)).astype(np.int64)

    @property
    def once(self) -> Given:
        """The rows, each once, whatever labels it has."""
        return self if self.whole is None else self.whole

    def each_once(self, rows: Ints) -> Ints:
        """Of these rows the first that stands for each row of `once`, in the order given."""
        if self.row is None:
            return rows
        _, first = np.unique(self.row[rows], return_index=True)
        return rows[np.sort(first)]

    def how_many(self, chosen: Mask) -> int:
        """Rows of `once` that any of the chosen (n,) stands for."""
        return len(self.each_once(np.flatnonzero(chosen)))

    def example(self, row: int, note: str) -> Example:
        text = str(self.texts[row]) if self.keep_texts else None
        if text is not None and len(text) > TEXT:
            text = text[: TEXT - 1].rstrip() + "…"
        return Example(
            id=str(self.ids[row]),
            part=str(self.parts[row]),
            label=self.classes[int(self.labels[row])],
            text=text,
            note=note,
        )

    def name_of(self, row: int) -> str:
        """The row as a note mentions it: its id, with the part where there are several."""
        several = len(set(self.parts.tolist())) > 1
        return f"{self.parts[row]} {self.ids[row]}" if several else str(self.ids[row])
