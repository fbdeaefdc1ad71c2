"""What a writer is compared with: the untouched base, and the same recipe without remedies."""

from __future__ import annotations

from pathlib import Path

from equipoise.evaluate.texts import compare_texts
from equipoise.fitting.clock import timed
from equipoise.fitting.loop import Watch
from equipoise.fitting.prepared import Prepared
from equipoise.fitting.writing.arm import train_writer
from equipoise.fitting.writing.judge import quick_written, scores_of, written_by
from equipoise.models.save import default_device
from equipoise.models.writing.build import build_writer
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
COMPARED_BY_LOSS = ("macro_loss", "loss")
COMPARED = (*COMPARED_BY_LOSS, "macro_bleu", "bleu")


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
                title=TITLES[name],
                language_model=True,
                seconds=seconds[stage],
                trained_parameters=trained,
            )
        )
        comparisons += _comparisons(prepared, name, ours, theirs)
    return records, comparisons


def _asked(prepared: Prepared) -> list[str]:
    """The untouched base costs no training, so it is left out only where nothing is asked for."""
    if not prepared.recipe.baselines:
        return []
    return ["base", "plain"] if prepared.recipe.remedies else ["base"]


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
        writer = train_writer(prepared, (), watch).classifier
        trained = sum(p.numel() for p in writer.parameters() if p.requires_grad)
    writer.eval()
    base = prepared.base
    packs = prepared.recipe.write.packing and packing_holds(writer)
    loaded = LoadedWriter(writer, base.tokenizer, base.max_tokens, packs, base.thinks)
    return loaded, trained


def _comparisons(prepared: Prepared, name: str, ours: Written, theirs: Written) -> list[Comparison]:
    judged = prepared.judged
    found = []
    wrote = any(text is not None for text in ours.of_split(judged).written)
    for measure in COMPARED if wrote else COMPARED_BY_LOSS:
        difference = compare_texts(
            theirs.of_split(judged),
            ours.of_split(judged),
            measure=measure,
            tokenize=prepared.recipe.write.tokenize,
            seed=prepared.seed,
            names=(TITLES[name], "This run"),
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
