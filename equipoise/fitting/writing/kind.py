"""The steps of a run whose target is text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from equipoise.data.check_written import sound_turns
from equipoise.data.table import Table
from equipoise.errors import SettingsError
from equipoise.evaluate.deciding import DecidingMeasure
from equipoise.evaluate.texts.overlap import check_sacrebleu
from equipoise.fitting.clock import timed
from equipoise.fitting.given_rows import table_marks
from equipoise.fitting.kinds import Judged
from equipoise.fitting.language import language_warnings
from equipoise.fitting.loop import Watch
from equipoise.fitting.prepared import Prepared
from equipoise.fitting.record import save_rows
from equipoise.fitting.treatment import treatment_faults
from equipoise.fitting.writing.arm import TrainedWriter, train_writer
from equipoise.fitting.writing.compare import run_rivals
from equipoise.fitting.writing.judge import quick_written, scores_of, written_by
from equipoise.fitting.writing.prepare import prepare_written, resolve_written
from equipoise.fitting.writing.texts import files_read, keep_faults
from equipoise.models.load import Base
from equipoise.models.trainer import Measure
from equipoise.models.writing.save import load_writer, save_writer
from equipoise.models.writing.sequences import Sequences
from equipoise.models.writing.template import asked_tokens, turn_faults
from equipoise.models.writing.window import Cut
from equipoise.progress import Progress
from equipoise.recipe import Recipe
from equipoise.records.rows import Splits
from equipoise.records.run import BaselineRecord, Comparison
from equipoise.records.scores import write_scores
from equipoise.records.written import WRITTEN, write_written

_WATCHED = ("last", "loss", "macro_loss")


class Writing:
    """See `kinds.Kind`."""

    writes = True

    def resolve(self, recipe: Recipe, table: Table) -> Recipe:
        train = table.train
        return resolve_written(recipe, () if train is None else tuple(train.counts()))

    def row_faults(self, table: Table, recipe: Recipe, base: Base) -> list[str]:
        how = recipe.write.too_long
        return table_marks(table, recipe, base) + [
            f"{table.where(part)}: {fault}"
            for part, rows in table.parts.items()
            for fault in turn_faults(sound_turns(rows), base, too_long=how)
        ]

    def beside(self, recipe: Recipe) -> str:
        return files_read(recipe.write.keep)

    def prepare(
        self,
        splits: Splits,
        recipe: Recipe,
        base: Base,
        seed: int,
        own: DecidingMeasure | None,
    ) -> Prepared:
        if own is not None:
            raise SettingsError("measure: a function of labels can't judge text; leave it out")
        return prepare_written(splits, recipe, base, seed)

    def check(self, prepared: Prepared) -> list[str]:
        chosen = prepared.recipe.train.choose_by
        if chosen not in _WATCHED:
            raise SettingsError(
                f"choose_by {chosen!r}: unknown measure of text; known are {', '.join(_WATCHED)}"
            )
        faults = keep_faults(prepared.recipe, prepared.base)
        if faults := faults + treatment_faults(prepared, prepared.recipe.specs):
            raise SettingsError(*faults)
        if prepared.recipe.write.decode_rows:
            # Now, not when the model has been trained: raises SettingsError if there is no room,
            # MissingExtraError if what judges texts is not installed.
            check_sacrebleu()
            turns = prepared.rows(prepared.judged).turns
            assert turns is not None
            new_tokens = prepared.recipe.write.decode.new_tokens
            asked_tokens(turns[:1], prepared.base, new_tokens=new_tokens)
        cuts = [*_cut_warnings(prepared), *_short_warnings(prepared)]
        return cuts + language_warnings(prepared)

    def measures(self, prepared: Prepared) -> Measure:
        return quick_written(prepared)

    def train(self, prepared: Prepared, watch: Watch) -> TrainedWriter:
        return train_writer(prepared, prepared.recipe.specs, watch)

    def save(self, out: Path, prepared: Prepared, arm: TrainedWriter) -> None:
        save_writer(out, arm.classifier, prepared.base, prepared.recipe.model)

    def judge(
        self,
        prepared: Prepared,
        log_source: NDArray[np.float64] | None,
        out: Path,
        seconds: dict[str, float],
        progress: Progress,
    ) -> Judged:
        """Write with what was saved, and judge."""
        with timed(seconds, "writing"):
            kept = out / "checkpoints" / "written.jsonl"
            written, notes = written_by(prepared, load_writer(out), kept=kept, progress=progress)
            write_written(out / WRITTEN, written)
            save_rows(out, prepared.splits, prepared.recipe.keep_texts)
        with timed(seconds, "judging"):
            scores = {
                split: scores_of(
                    prepared, written, split, notes if split == prepared.judged else ()
                )
                for split in sorted({"validation", prepared.judged})
            }
            write_scores(out / "scores.json", scores[prepared.judged])
            write_scores(out / "scores_validation.json", scores["validation"])
        return Judged(written, None, scores[prepared.judged])

    def compare(
        self,
        prepared: Prepared,
        arm: TrainedWriter,
        judged: Judged,
        out: Path,
        checkpoints: Path,
        seconds: dict[str, float],
        progress: Progress,
    ) -> tuple[list[BaselineRecord], list[Comparison]]:
        return run_rivals(prepared, judged.record, out, checkpoints, seconds, progress)


WRITING = Writing()


def _cut_warnings(prepared: Prepared) -> list[str]:
    cuts = [tokens.cut for tokens in prepared.tokens.values() if isinstance(tokens, Sequences)]
    said = sum(cuts, Cut()).says()
    return [] if said is None else [f"{said}; raise model.max_tokens if what was cut matters"]


def _short_warnings(prepared: Prepared) -> list[str]:
    """Right answers that could not be written in as many tokens as may be: their rows can't
    match, however well they were learned."""
    tokens, write = prepared.tokens[prepared.judged], prepared.recipe.write
    assert isinstance(tokens, Sequences)
    needed, allowed = tokens.answer_lengths, write.decode.new_tokens
    long = int((needed > allowed).sum())
    if not (write.decode_rows and long):
        return []
    return [
        f"{long:,} of {len(needed):,} {prepared.judged} rows have answers of more than {allowed:,} "
        f"tokens, the longest {needed.max():,}, and no more are written of any "
        "(write.decode.new_tokens); raise it if whole answers matter"
    ]
