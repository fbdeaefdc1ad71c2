"""General texts, from a file of the user's to what a model reads of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from equipoise.data import read_rows
from equipoise.data.check import check_rows
from equipoise.data.check_written import sound_turns
from equipoise.data.table import WHOLE, Table
from equipoise.errors import DataError
from equipoise.fitting.given_rows import mark_faults
from equipoise.models.load import Base
from equipoise.models.writing.config import KeepConfig
from equipoise.models.writing.pieces import Pieces
from equipoise.models.writing.sequences import Sequences
from equipoise.models.writing.template import sequences, turn_faults
from equipoise.recipe import Recipe
from equipoise.records.rows import Rows

_UNCUT = 1 << 40
"""Tokens that no text has."""


@dataclass(frozen=True, eq=False)
class Texts:
    """The texts of one file as a model reads them."""

    source: str
    """Name of the file."""
    rows: Rows
    whole: Sequences
    """A text in each, as long as it is; of encoder-decoders cut at the window."""
    read: Sequences
    """What the model is given, in lines no longer than its window."""

    @property
    def notes(self) -> list[str]:
        """What the user should know of texts that were cut."""
        said = self.read.cut.says()
        return [] if said is None else [f"{self.source}: {said}"]


def read_texts(path: str, base: Base) -> Texts:
    """A decoder reads what is longer than the window in several pieces, so that every token of
    every text counts; of an encoder-decoder's texts the window keeps what it keeps of rows.

    Raises DataError if the file can't be read, ModelError as `sequences`.
    """
    table = read_rows(path, task="write")
    check_rows(table)
    (rows,) = table.parts.values() if len(table.parts) == 1 else (table.train,)
    assert rows is not None
    assert rows.turns is not None
    name = Path(path).name
    if base.two_parts:
        cut = sequences(rows.turns, base)
        return Texts(name, rows, whole=cut, read=cut)
    whole = sequences(rows.turns, replace(base, max_tokens=_UNCUT))
    windows = whole.in_windows(base.max_tokens, Pieces(base.tokenizer).around[0])
    return Texts(name, rows, whole=whole, read=windows)


def files_read(config: KeepConfig) -> str:
    """A fingerprint of the files that the settings name: other texts make another run.

    Raises DataError naming the setting whose file can't be read.
    """
    return "".join(_table(name, path).fingerprint for name, path in _named(config))


def keep_faults(recipe: Recipe, base: Base) -> list[str]:
    """All that is wrong with the texts in these files, a line each."""
    faults = []
    for name, path in _named(recipe.write.keep):
        for part, rows in _table(name, path).parts.items():
            found = mark_faults(rows, recipe, base.tokenizer, part if part != WHOLE else None)
            found += turn_faults(sound_turns(rows), base)
            faults += [f"write.keep.{name}: {path}: {fault}" for fault in found]
    return faults


def _named(config: KeepConfig) -> list[tuple[str, str]]:
    files = {"general": config.general, "replay": config.replay}
    return [(name, path) for name, path in files.items() if path is not None]


def _table(name: str, path: str) -> Table:
    try:
        table = read_rows(path, task="write")
        check_rows(table)
    except DataError as error:
        raise DataError(*(f"write.keep.{name}: {fault}" for fault in error.faults)) from None
    return table
