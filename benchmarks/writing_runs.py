"""Runs whose target is text, as units of a benchmark: a child process fits, writes and adds up.

    python -m benchmarks.writing_runs FOLDER     (the child: FOLDER/asked.json and FOLDER/rows)

The run is one `equipoise.fit.fit` on rows/train.jsonl, validation.jsonl and test.jsonl. It decodes
nothing (which would decode the untouched base too); the saved model is read back and writes all
test rows. Of every test row what it adds to each measure is kept, not its text: so differences
between arms can be resampled from what is stored, and the stored units hold no rows of the set.
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.arms import offline
from benchmarks.machine import run_child
from benchmarks.paired import RESAMPLES, Difference, combined
from benchmarks.sets import ROOT
from equipoise.evaluate.texts.overlap import bleu, chrf
from equipoise.evaluate.texts.resampling import expanded, macro, over_all, plan, recentred
from equipoise.recipe import Recipe
from equipoise.statistics.bootstrap import FEWEST

Floats = NDArray[np.float64]
Line = Mapping[str, Any]
"""A row as the JSON lines of a set hold it."""


def mean_loss(sums: Floats) -> Floats:
    """Nats a token. Shapes  sums (..., 2): nats and tokens. NaN where there is no token."""
    nats, tokens = sums[..., 0], sums[..., 1]
    out: Floats = np.divide(nats, tokens, out=np.full(nats.shape, np.nan), where=tokens > 0)
    return out


MEASURES = {"bleu": bleu, "chrf": chrf, "loss": mean_loss}


@dataclass(frozen=True, eq=False)
class TextSums:
    """What n judged rows add to each measure, in the order of their ids."""

    ids: NDArray[Any]
    categories: NDArray[Any]
    """(n,) str."""
    clusters: NDArray[np.int64]
    counts: Floats
    """(n,) rows for which each counts over all rows; the same for all rows of a category."""
    sums: dict[str, Floats]
    """Of each of MEASURES (n, S)."""

    def figures(self) -> dict[str, dict[str, float]]:
        """{measure: {"overall", "macro", and each category: value}}."""
        names, category = np.unique(self.categories, return_inverse=True)
        out = {}
        for measure, value in MEASURES.items():
            sums = self.sums[measure]
            each = {str(n): float(value(sums[category == k].sum(0))) for k, n in enumerate(names)}
            whole = float(value(over_all(sums, category, self.stands_for(category))))
            found = {"overall": whole, "macro": float(np.mean(list(each.values()))), **each}
            out[measure] = {name: round(v, 5) for name, v in found.items()}
        return out

    def stands_for(self, category: NDArray[np.int64]) -> Floats:
        """(K,) `counts` of the rows of each category; category (n,) in 0 .. K - 1, none empty."""
        _, first = np.unique(category, return_index=True)
        found: Floats = self.counts[first]
        return found

    def packed(self) -> bytes:
        file = io.BytesIO()
        np.savez_compressed(
            file,
            ids=self.ids.astype(str),
            categories=self.categories.astype(str),
            clusters=self.clusters,
            counts=self.counts,
            **self.sums,
        )
        return file.getvalue()


def unpacked(path: str | Path) -> TextSums:
    with np.load(path) as kept:
        order = np.argsort(kept["ids"], kind="stable")
        return TextSums(
            *(kept[name][order] for name in ("ids", "categories", "clusters", "counts")),
            {measure: kept[measure][order] for measure in MEASURES},
        )


def counts_of(categories: NDArray[Any], shares: Mapping[str, float]) -> Floats:
    """(n,) rows for which each of n judged rows counts, so that over all of them every category
    has its share in `shares`, of a whole of any size; n in sum."""
    names, category, judged = np.unique(categories, return_inverse=True, return_counts=True)
    wanted = np.array([shares[str(name)] for name in names], dtype=np.float64)
    counts: Floats = (wanted / wanted.sum() * len(categories) / judged)[category]
    return counts


def text_differences(
    ours: Sequence[TextSums],
    theirs: Sequence[TextSums],
    measure: str,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> dict[str, Difference]:
    """Ours minus theirs of "overall", "macro" and every category, over rows and seeds as in
    `paired`; the k-th of both is the same seed's. Over all rows each counts as `TextSums` says. A
    category with too few rows to resample is left out. Raises ValueError if they are not of the
    same rows.
    """
    everyone, first = [*ours, *theirs], ours[0]
    if any(one.ids.tolist() != first.ids.tolist() for one in everyone):
        raise ValueError("the arms and seeds were not judged on the same rows")
    names, category = np.unique(first.categories, return_inverse=True)
    value, seeds = MEASURES[measure], len(ours)
    width = first.sums[measure].shape[1]
    sums = np.concatenate([one.sums[measure] for one in everyone], axis=1)

    def by_seed(sums: Floats) -> Floats:
        """(..., seeds) differences."""
        parts = sums.reshape(*sums.shape[:-1], 2, seeds, width)
        gap: Floats = value(parts[..., 0, :, :]) - value(parts[..., 1, :, :])
        return gap

    stands_for = first.stands_for(category)
    prepared = plan(sums, category, first.clusters, len(names), stands_for)
    drawn = prepared.draw(
        resamples, np.random.default_rng(seed), lambda s: by_seed(s).mean(-1, keepdims=True)
    )
    of_each = np.stack([sums[category == k].sum(axis=0) for k in range(len(names))])
    apart, everyone_there = by_seed(of_each), np.ones(len(names), dtype=bool)
    gaps = apart.mean(axis=1)
    lent = recentred(drawn.lent[..., 0], drawn.each[..., 0], gaps)
    whole = by_seed(over_all(sums, category, stands_for))
    held = np.diff(prepared.first)
    total = len(np.unique(first.clusters))
    cells: dict[str, tuple[Floats, Floats, int]] = {
        "overall": (whole, drawn.whole[:, 0], total),
        "macro": (apart.mean(axis=0), macro(lent, everyone_there), total),
        **{str(names[k]): (apart[k], drawn.each[:, k, 0], int(held[k])) for k in range(len(names))},
    }
    out = {}
    for name, (values, samples, clusters) in cells.items():
        found = expanded(float(np.mean(values)), samples, clusters)
        if found.low is not None and found.high is not None and clusters >= FEWEST:
            out[name] = combined(values.tolist(), found.low, found.high)
    return out


def same_seeds(ours: Mapping[int, Any], theirs: Mapping[int, Any]) -> list[int]:
    """Seeds that both arms have from the very same base: one made anew elsewhere is another."""
    return sorted(
        seed
        for seed in set(ours) & set(theirs)
        if ours[seed]["result"]["base"] == theirs[seed]["result"]["base"]
    )


def run_apart(
    rows: Mapping[str, Sequence[Line]], asked: Mapping[str, Any], *, cache: Path | None = None
) -> tuple[dict[str, Any], bytes]:
    """The child's record and its packed sums.

    rows    train, validation and test; other names are files of plain texts, which the recipe in
            `asked` calls by "FOLDER/name.jsonl".
    asked   recipe (settings), seed, new_tokens; shares: of each category over all rows, whatever
            its part of the judged ones.
    cache   A folder of cached states that outlives the unit; None: a fresh one.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "rows").mkdir()
        for name, lines in rows.items():
            inside = folder / "rows" if name in ("train", "validation", "test") else folder
            text = "".join(json.dumps(line) + "\n" for line in lines)
            (inside / f"{name}.jsonl").write_text(text, encoding="utf-8")
        said = json.dumps(dict(asked)).replace("FOLDER/", f"{folder}/")
        (folder / "asked.json").write_text(said, encoding="utf-8")
        env = offline(folder) | ({"EQUIPOISE_CACHE": str(cache)} if cache else {})
        command = [sys.executable, "-m", "benchmarks.writing_runs", folder]
        child = run_child(command, cwd=ROOT, env=env)
        record = {
            **child.record,
            "seconds": round(child.seconds, 2),
            "cpu_seconds": round(child.cpu_seconds, 2),
            "peak_rss_mib": round(child.peak_rss / 2**20),
        }
        return record, (folder / "sums.npz").read_bytes()


def fit_and_write(folder: Path) -> dict[str, Any]:
    """In the child: fit, write the test rows, leave their sums in FOLDER/sums.npz."""
    import time
    from dataclasses import replace

    from equipoise.evaluate.texts.outcomes import text_outcomes
    from equipoise.fit import fit
    from equipoise.models.load import find_base
    from equipoise.models.writing.config import DecodeConfig
    from equipoise.models.writing.decode import write_texts
    from equipoise.models.writing.save import load_writer
    from equipoise.models.writing.template import asked_ids
    from equipoise.recipe import make_recipe
    from equipoise.records.rows import text_column
    from equipoise.records.scores import read_scores
    from equipoise.records.turns import Turn
    from equipoise.records.written import read_written

    asked = json.loads((folder / "asked.json").read_text(encoding="utf-8"))
    recipe = make_recipe(asked["recipe"])
    run = fit(folder / "rows", folder / "run", recipe, seed=asked["seed"])
    begun = time.monotonic()
    written = read_written(run.folder / "written.parquet").of_split("test")
    lines = [json.loads(line) for line in (folder / "rows" / "test.jsonl").open(encoding="utf-8")]
    turns = text_column(
        [(Turn("user", one["prompt"]), Turn("assistant", one["completion"])) for one in lines]
    )
    given = {line["prompt"]: k for k, line in enumerate(lines)}
    at = [given[text] for text in written.asked]  # the set's judged prompts are distinct
    config = DecodeConfig(new_tokens=asked["new_tokens"], batch_rows=64)
    ids = asked_ids(turns[at], find_base(recipe.model, writes=True), new_tokens=config.new_tokens)
    texts = write_texts(load_writer(run.folder), ids, config, seed=asked["seed"])
    found = text_outcomes(replace(written, written=text_column(texts)))
    sums = TextSums(
        written.ids,
        written.categories,
        written.clusters,
        counts_of(written.categories, asked["shares"]),
        {measure: found.measured[measure].sums for measure in MEASURES},
    )
    (folder / "sums.npz").write_bytes(sums.packed())
    manifest = run.manifest
    return {
        "figures": sums.figures(),
        "rows": {"train": len(lines_of(folder, "train")), "test": len(written)},
        "wrote": texts[:3],
        "steps": manifest.training.steps,
        "replayed_tokens": replayed_tokens(recipe, folder / "rows" / "train.jsonl"),
        "stages": {name: round(s, 2) for name, s in manifest.seconds.items()},
        "decoding": round(time.monotonic() - begun, 2),
        "validation_loss": {
            name: one.measures["loss"].value
            for name, one in read_scores(run.folder / "scores_validation.json").classes.items()
        },
        "base": manifest.model.fingerprint,
        "trained_parameters": manifest.model.trained_parameters,
        "general": None if manifest.general is None else manifest.general.model_dump(),
        "remedies": [r.model_dump(include={"name", "after"}) for r in manifest.remedies],
    }


def replayed_tokens(recipe: Recipe, train: Path) -> float:
    """Share of what is learned, in tokens, that is of replayed texts: what they are of the loss
    when every token counts the same. By mean lengths: every text is drawn as often, give or take
    one."""
    from equipoise.fitting.writing.keep import replayed_beside
    from equipoise.fitting.writing.texts import read_texts
    from equipoise.models.load import find_base

    keep, rows = recipe.write.keep, recipe.train.batch_rows
    if keep.replay is None:
        return 0.0
    base = find_base(recipe.model, writes=True)
    own, general = (
        float(read_texts(str(path), base).read.learned_lengths.mean())
        for path in (train, keep.replay)
    )
    replayed = replayed_beside(rows, keep.replay_share) * general
    return round(replayed / (replayed + rows * own), 3)


def lines_of(folder: Path, split: str) -> list[str]:
    return (folder / "rows" / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()


if __name__ == "__main__":
    print(json.dumps(fit_and_write(Path(sys.argv[1]))))
