"""A small folder of a run that writes, for tests of what reads one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from make_run import make_run

from equipoise.evaluate.texts import judge_texts
from equipoise.records.rows import text_column
from equipoise.records.run import read_manifest, write_manifest
from equipoise.records.scores import write_scores
from equipoise.records.written import WRITTEN, Written, write_written

CATEGORIES = ("usual", "rare")


def make_written(
    folder: Path,
    texts: Sequence[str | None],
    *,
    rare: int = 3,
    decode_rows: int = 500,
    differences: dict[tuple[str, str], tuple[float, float, float]] | None = None,
    pattern: str | None = None,
) -> Path:
    """Write a run whose judged rows were answered by `texts` (None: not asked for), the last
    `rare` of them of the rare category; `differences` by (baseline, measure)."""
    make_run(folder, names=CATEGORIES, remedies=True, judged_rows=len(texts))
    n = len(texts)
    rng = np.random.default_rng(0)
    record = Written(
        ids=text_column([f"test-{k + 1}" for k in range(n)]),
        splits=text_column(["test"] * n),
        categories=text_column(["usual"] * (n - rare) + ["rare"] * rare),
        asked=text_column([f"what is {k}?" for k in range(n)]),
        written=text_column(list(texts)),
        references=text_column([(f"it is the number {k}",) for k in range(n)]),
        log_probs=-rng.uniform(2, 6, n),
        tokens=np.full(n, 5),
        bytes=np.full(n, 18),
        clusters=np.arange(n),
    )
    write_written(folder / WRITTEN, record)
    trained = {"usual": 150, "rare": 12}
    scores = judge_texts(record, split="test", trained_counts=trained, pattern=pattern)
    write_scores(folder / "scores.json", scores)
    (folder / "scores_validation.json").unlink()
    for name in ("plain", "tfidf", "vectors"):
        write_scores(folder / "baselines" / name / "scores.json", scores)
    found = differences or {}
    manifest = read_manifest(folder).model_dump()
    recipe: dict[str, Any] = {"write": {"decode_rows": decode_rows}}
    comparison = manifest["comparisons"][0]
    manifest |= {
        "recipe": recipe,
        "files": {WRITTEN: ""},
        "comparisons": [
            comparison
            | {"against": a, "measure": m, "value": value, "low": low, "high": high, "why": None}
            for (a, m), (value, low, high) in found.items()
        ],
    }
    write_manifest(folder, type(read_manifest(folder)).model_validate(manifest))
    return folder
