"""What a writer is compared with: the untouched base, and plain fine-tuning, which is the same
recipe without remedies and without what holds on to the base."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from equipoise.evaluate.texts import compare_texts
from equipoise.evaluate.texts.outcomes import text_outcomes
from equipoise.fitting.clock import timed
from equipoise.fitting.loop import Watch
from equipoise.fitting.prepared import Prepared
from equipoise.fitting.writing.arm import train_writer
from equipoise.fitting.writing.judge import quick_written, scores_of, written_by
from equipoise.models.save import default_device
from equipoise.models.writing.build import build_writer
from equipoise.models.writing.config import KeepConfig
from equipoise.models.writing.save import LoadedWriter
from equipoise.models.writing.writer import packing_holds
from equipoise.progress import Progress
from equipoise.records.run import BaselineRecord, Comparison
from equipoise.records.scores import write_scores
from equipoise.records.written import WRITTEN, Written, write_written

TITLES = {
    "base": "The base model as it came",
    "plain": "The same recipe without remedies",
}
WITHOUT_HOLDS = "The same recipe without remedies or holds"
"""Of plain, where something held on to the base."""
COMPARED_BY_LOSS = ("macro_loss", "loss")
COMPARED = (*COMPARED_BY_LOSS, "macro_bleu", "bleu")
COMPARED_BY_PATTERN = ("macro_answer_match", "answer_match")
"""First, where the user's pattern is found in right answers: it says what counts here."""


def run_rivals(
    prepared: Prepared,
    ours: Written,
    folder: Path,
    checkpoints: Path,
    seconds: dict[str, float],
    progress: Progress,
) -> tuple[list[BaselineRecord], list[Comparison]]:
    """Texts and scores of every rival, and what sets the run apart from each."""
    records, comparisons = [], []
    titles = TITLES | ({"plain": WITHOUT_HOLDS} if prepared.recipe.holds else {})
    for name in _asked(prepared):
        with timed(seconds, stage := f"baseline {name}"):
            rival, trained = _rival(name, prepared, checkpoints / name, progress)
            kept = checkpoints / f"{name}.jsonl"
            theirs, notes = written_by(prepared, rival, kept=kept, progress=progress)
        place = folder / "baselines" / name
        write_written(place / WRITTEN, theirs)
        write_scores(place / "scores.json", scores_of(prepared, theirs, prepared.judged, notes))
        records.append(
            BaselineRecord(
                name=name,
                title=titles[name],
                language_model=True,
                seconds=seconds[stage],
                trained_parameters=trained,
            )
        )
        comparisons += _comparisons(prepared, name, titles[name], ours, theirs)
    return records, comparisons


def _asked(prepared: Prepared) -> list[str]:
    """The untouched base costs no training, so it is left out only where nothing is asked for."""
    if not prepared.recipe.baselines:
        return []
    recipe = prepared.recipe
    return ["base", "plain"] if recipe.remedies or recipe.holds else ["base"]


def _rival(
    name: str, prepared: Prepared, checkpoints: Path, progress: Progress
) -> tuple[LoadedWriter, int]:
    if name == "base":
        settings = prepared.recipe.model.model_copy(update={"method": "full"})
        writer = build_writer(prepared.base, settings, prepared.seed)[0].to(default_device())
        trained = 0
    else:
        title = "training without remedies"
        watch = Watch(checkpoints, quick_written(prepared), title, progress)
        bare = prepared.recipe.without_holds()
        keep = bare.write.model_copy(update={"keep": KeepConfig()})  # nor is anything looked at
        plain = replace(prepared, recipe=bare.model_copy(update={"write": keep}))
        writer = train_writer(plain, (), watch).classifier
        trained = sum(p.numel() for p in writer.parameters() if p.requires_grad)
    writer.eval()
    base = prepared.base
    packs = prepared.recipe.write.packing and packing_holds(writer)
    loaded = LoadedWriter(writer, base.tokenizer, base.max_tokens, packs, base.thinks)
    return loaded, trained


def _comparisons(
    prepared: Prepared, name: str, title: str, ours: Written, theirs: Written
) -> list[Comparison]:
    a, b = (side.of_split(prepared.judged) for side in (theirs, ours))
    write = prepared.recipe.write
    found = []
    for measure in _measures(b, write.pattern):
        difference = compare_texts(
            a,
            b,
            measure=measure,
            pattern=write.pattern,
            tokenize=write.tokenize,
            seed=prepared.seed,
            names=(title, "This run"),
        ).overall
        estimate = difference.difference
        if estimate.value is not None:
            found.append(
                Comparison(
                    against=name,
                    measure=difference.measure,
                    value=estimate.value,
                    low=estimate.low,
                    high=estimate.high,
                    why=estimate.why,
                    rows=difference.rows,
                    says=difference.says,
                )
            )
    return found


def _measures(ours: Written, pattern: str | None) -> tuple[str, ...]:
    """What can be compared of judged rows."""
    if all(text is None for text in ours.written):
        return COMPARED_BY_LOSS
    if pattern is None:
        return COMPARED
    known = text_outcomes(ours, pattern=pattern, only="answer_match").right
    return (*COMPARED_BY_PATTERN, *COMPARED) if "answer_match" in known else COMPARED
