"""Whether a run has seen rows before: marks of its texts in splits.parquet, and looking them up.

Ids would not do: most files have none, and then row 7 of any file is called "7".
"""

from __future__ import annotations

from collections import Counter
from hashlib import blake2b
from pathlib import Path

import pyarrow.parquet as pq

from equipoise.data.normalise import duplicate_key
from equipoise.records.rows import Column, Rows, text_column

MARK = "text_mark"
"""The column of splits.parquet that holds them."""
_BYTES = 8
"""Of a mark: among a million rows and a million others two differ and look equal once in 10^7
times. A mark holds no text, but whoever has a text can tell whether its mark is there."""


def text_marks(rows: Rows) -> Column:
    """(n,) a mark of each row's text, or of all its turns: the same for texts that differ only in
    case, spaces and punctuation, as duplicates do."""
    texts = rows.texts.tolist()
    if rows.turns is not None:
        texts = ["\n".join(turn.text for turn in turns) for turns in rows.turns]
    return text_column([_mark(text) for text in texts])


def _mark(text: str) -> str:
    key = duplicate_key(text).encode("utf-8", "surrogatepass")
    return blake2b(key, digest_size=_BYTES).hexdigest()


def seen_before(run: Path, rows: Rows, *, chose: str) -> tuple[str, ...]:
    """A warning if a run trained on texts of the rows or chose by them, or if it can't be told.

    chose   What rows of validation did, as "chose the decision rule".
    """
    try:
        kept = pq.read_table(run / "splits.parquet", columns=["split", MARK]).to_pydict()
    except (OSError, ValueError, KeyError):
        return (f"{run}: keeps no marks of its rows, so nobody can tell whether it saw these",)
    split_of: dict[str, str] = {}
    for split, mark in zip(kept["split"], kept[MARK], strict=True):
        # A text of several splits was trained on, if on any: those come first in the file.
        split_of.setdefault(mark, split)
    counts = Counter(split_of.get(mark) for mark in text_marks(rows))
    done = {"were trained on": counts["train"], chose: counts["validation"]}
    found = [f"{n:,} {what}" for what, n in done.items() if n]
    if not found:
        return ()
    first, *rest = found
    number, _, what = first.partition(" ")
    said = ", ".join([f"{number} of {len(rows):,} rows {what}", *rest])
    return (
        f"{said} (by their texts): scores of them say little about new rows; judge by rows that "
        "the run has not seen",
    )
