"""A finished run that writes, read back to be used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from equipoise.asked import ASKED, Asked, asked_rows, check_table
from equipoise.data.check import check_rows, check_texts
from equipoise.data.duplicates import cluster_rows
from equipoise.data.table import Table
from equipoise.errors import DataError
from equipoise.evaluate.texts import judge_texts
from equipoise.fitting.given_rows import mark_faults
from equipoise.fitting.seen import seen_before
from equipoise.fitting.writing.judge import record_of, spread, written_for
from equipoise.models.writing.config import DecodeConfig
from equipoise.models.writing.feed import bare_feed
from equipoise.models.writing.outputs import row_log_probs
from equipoise.models.writing.save import LoadedWriter
from equipoise.models.writing.template import sequences
from equipoise.progress import Progress, silent
from equipoise.recipe import Recipe
from equipoise.records.rows import Rows, text_column
from equipoise.records.run import Manifest
from equipoise.records.scores import Scores
from equipoise.records.turns import ANY_CATEGORY
from equipoise.records.written import Written


class Answers(NamedTuple):
    """What was written for rows."""

    texts: list[str]
    """In the rows' order."""
    notes: list[str]
    """What the user should know of them, such as how many were too long to be read whole."""


@dataclass(frozen=True, eq=False)
class _Reads:
    """See `models.writing.template.Reads`."""

    name: str
    config: Any
    tokenizer: Any
    two_parts: bool
    max_tokens: int
    virtual_tokens: int
    thinks: bool


class LoadedWriterRun:
    """A run's writer, with the settings by which it was judged.

    Judging the run's own test rows, in their order, gives the texts and log-probabilities of
    `written.parquet` bit for bit, and with them the measures; look-alikes, by which intervals go,
    are looked for among the judged rows alone, by the run's split.threshold.
    """

    def __init__(self, folder: Path, manifest: Manifest, writer: LoadedWriter) -> None:
        self.folder = folder
        self.manifest = manifest
        self.writer = writer

    @property
    def recipe(self) -> Recipe:
        return Recipe.model_validate(self.manifest.recipe)

    @property
    def categories(self) -> tuple[str, ...]:
        """Those of training, sorted; ("all",) where its rows had none."""
        return tuple(self.manifest.classes)

    def predict(
        self,
        asked: Sequence[Asked],
        *,
        ids: Sequence[str] | NDArray[np.object_] | None = None,
        decode: DecodeConfig | None = None,
        seed: int | None = None,
        kept: Path | None = None,
        progress: Progress = silent,
    ) -> Written:
        """What the model writes for each, in order, as the record that `evaluate` gives; nobody
        knows what is right, so it has no references and no log-probabilities. What
        `LoadedRun.predict` is to a run that classifies.

        asked   Prompts; or conversations, as Turns or {"role", "content"}, to whose last turn an
                answer is written (to the one before it, if the last is the assistant's own).
        ids     A name of each; None: their numbers from 0.
        decode  How; None: as the run was judged.
        seed    Decides what is drawn, if anything is; None: the run's.
        kept    A file that holds what is written so far: a call that was killed goes on there.
                It is removed at the end.
        What is too long loses its beginning; `answer_rows` tells of how many.

        Raises DataError naming what is empty, not text or not a conversation, or if it is a lone
        text or conversation in place of a list, or if there are not as many ids.
        """
        rows = asked_rows(asked, ids)
        found = self.answer_rows(
            Table(ASKED, {"all": rows}, {}, ""),
            decode=decode,
            seed=seed,
            kept=kept,
            progress=progress,
        )
        n = len(rows)
        return Written(
            ids=rows.ids,
            splits=text_column(["given"] * n),
            categories=text_column([ANY_CATEGORY] * n),
            asked=rows.texts,
            written=text_column(found.texts),
            references=text_column([()] * n),
            log_probs=np.full(n, np.nan),
            tokens=np.zeros(n, dtype=np.int64),
            bytes=np.zeros(n, dtype=np.int64),
            clusters=np.arange(n, dtype=np.int64),
        )

    def write(
        self,
        asked: Sequence[Asked],
        *,
        decode: DecodeConfig | None = None,
        seed: int | None = None,
        kept: Path | None = None,
        progress: Progress = silent,
    ) -> list[str]:
        """The texts of `predict` alone."""
        found = self.predict(asked, decode=decode, seed=seed, kept=kept, progress=progress)
        return [str(text) for text in found.written]

    def write_rows(
        self,
        table: Table,
        *,
        decode: DecodeConfig | None = None,
        seed: int | None = None,
        kept: Path | None = None,
        progress: Progress = silent,
    ) -> list[str]:
        """`write` for the rows of a table, all parts of a folder together; answers that they have
        are not looked at."""
        return self.answer_rows(table, decode=decode, seed=seed, kept=kept, progress=progress).texts

    def answer_rows(
        self,
        table: Table,
        *,
        decode: DecodeConfig | None = None,
        seed: int | None = None,
        kept: Path | None = None,
        progress: Progress = silent,
    ) -> Answers:
        """`write_rows`, with a note if what was asked could not be read whole."""
        rows = self._written(table)
        check_texts(table)
        self._check_special(rows)
        found, notes = written_for(
            rows,
            np.arange(len(rows)),
            self.writer,
            self._reads(),
            decode or self.recipe.write.decode,
            seed=self.manifest.seed if seed is None else seed,
            kept=kept,
            progress=progress,
        )
        _remove(kept)
        return Answers([str(text) for text in found], notes)

    def evaluate(
        self,
        table: Table,
        *,
        decode_rows: int | None = None,
        seed: int | None = None,
        kept: Path | None = None,
        progress: Progress = silent,
    ) -> tuple[Written, Scores]:
        """How likely the right texts of rows are that the run has not seen, what is written for
        them, and how good it is; all parts of a folder together. `warnings` of the scores hold
        those of reading, and tell of rows that the run has seen.

        decode_rows  Rows that are written, spread over the categories by the seed; the others are
                     judged by their loss alone. None: as many as the run wrote.
        Raises DataError if rows have faults, or are not to be written.
        """
        check_table(table)
        recipe = self.recipe
        rows = self._written(table)
        check_rows(table, trains=False)
        if rows.labels is None:
            raise DataError(f"{table.source}: has no answers; name them with --completion")
        self._check_special(rows)
        seen = seen_before(self.folder, rows, chose="were there to choose by")
        groups = None if rows.groups is None else rows.groups.tolist()
        assert rows.turns is not None
        together = cluster_rows(
            rows.texts.tolist(),
            groups,
            turns=rows.turns.tolist(),
            threshold=recipe.split.threshold,
        )
        rows = replace(rows, clusters=together)
        assert rows.turns is not None
        assert rows.labels is not None
        base = self._reads()
        tokens = sequences(rows.turns, base, too_long=recipe.write.too_long)
        likely = row_log_probs(self.writer.module, bare_feed(tokens, base, packs=self.writer.packs))
        wanted = recipe.write.decode_rows if decode_rows is None else decode_rows
        seed = self.manifest.seed if seed is None else seed
        texts, notes = written_for(
            rows,
            spread(rows.labels, wanted, seed=seed),
            self.writer,
            base,
            recipe.write.decode,
            seed=seed,
            kept=kept,
            progress=progress,
        )
        written = record_of(rows, "given", texts, likely, tokens, self.writer)
        scores = judge_texts(
            written,
            split="given",
            trained_counts=self.manifest.rows.splits["train"].counts,
            pattern=recipe.write.pattern,
            tokenize=recipe.write.tokenize,
            seed=seed,
        )
        _remove(kept)
        said = tokens.cut.says()
        notes = [*([] if said is None else [said]), *notes, *scores.notes]
        return written, replace(scores, notes=tuple(notes), warnings=(*table.warnings, *seen))

    def _written(self, table: Table) -> Rows:
        rows = table.joined(ids_apart=True)
        if not rows.written:
            raise DataError(
                f"{table.source}: holds rows to be classified, and this run writes; give rows with "
                "a prompt and a completion, or conversations"
            )
        return rows

    def _check_special(self, rows: Rows) -> None:
        if faults := mark_faults(rows, self.recipe, self.writer.tokenizer):
            raise DataError(*faults)

    def _reads(self) -> _Reads:
        body: Any = self.writer.module.body
        return _Reads(
            self.manifest.model.name,
            body.config,
            self.writer.tokenizer,
            self.writer.module.two_parts,
            self.writer.max_tokens,
            self.recipe.model.virtual_tokens,
            self.writer.thinks,
        )


def _remove(kept: Path | None) -> None:
    if kept is not None:
        kept.unlink(missing_ok=True)
