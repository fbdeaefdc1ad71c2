"""A small run folder, written through the records' own writers, for tests of what reads one."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from equipoise.records.decision import DecisionRule, write_decision
from equipoise.records.predictions import Predictions, write_predictions
from equipoise.records.rows import text_column
from equipoise.records.run import Manifest, write_manifest
from equipoise.records.scores import ClassScores, Estimate, Scores, write_scores

TITLES = {
    "plain": "The same recipe without remedies",
    "tfidf": "TF-IDF + balanced logistic regression",
    "vectors": "Encoder vectors + balanced logistic regression",
}
WORDS = (  # noqa: SIM905 (reads better than a list)
    "my parcel has not arrived and the tracking page still shows yesterday please refund the "
    "second charge on card ending 4471 the app logs me out when i change the address can you "
    "send an invoice for march thanks it broke after two days"
).split()


def make_run(
    folder: Path,
    *,
    names: tuple[str, ...] = ("billing", "delivery", "fraud"),
    judged_rows: int = 200,
    imbalance: float = 20.0,
    test: bool = True,
    baselines: tuple[str, ...] = ("plain", "tfidf", "vectors"),
    lost: tuple[str, ...] = (),
    differences: dict[str, tuple[float, float | None, float | None]] | None = None,
    costs: dict[str, Any] | None = None,
    defer: int = 0,
    unknown: int = 0,
    texts: bool = True,
    text: str | None = None,
    groups: str | None = None,
    history: bool = True,
    remedies: bool = True,
    source: str = "support_messages.csv",
    seed: int = 0,
) -> Path:
    """Write a run of classes `names`, most frequent first, and return its folder."""
    rng = np.random.default_rng(seed)
    classes = tuple(sorted(names))
    share = imbalance ** (-np.arange(len(names)) / max(len(names) - 1, 1))
    share /= share.sum()
    train = {name: max(1, round(4 * judged_rows * s)) for name, s in zip(names, share, strict=True)}
    judged = "test" if test else "validation"
    parts = {
        split: _predictions(rng, classes, names, share, judged_rows, split, defer, unknown, groups)
        for split in (("validation", "test") if test else ("validation",))
    }
    matrix = _matrix(costs, classes)
    flat = np.zeros(len(classes))
    write_decision(
        folder / "decision.json",
        DecisionRule(
            classes, 1.3, flat, flat, "costs" if costs else "argmax", flat, matrix, ("temperature",)
        ),
    )
    write_predictions(folder / "predictions.parquet", _joined(list(parts.values())))
    own = _scores(parts[judged], train, judged, costs is not None)
    write_scores(folder / "scores.json", own)
    write_scores(
        folder / "scores_validation.json", _scores(parts["validation"], train, "validation", False)
    )
    for k, name in enumerate(baselines):
        if name not in lost:
            worse = _predictions(
                rng, classes, names, share, judged_rows, judged, 0, unknown, groups, 0.8 - 0.3 * k
            )
            write_scores(
                folder / "baselines" / name / "scores.json",
                _scores(worse, train, judged, costs is not None),
            )
    if texts:
        _write_texts(folder, parts, rng, text)
    if history:
        _write_history(folder / "history.jsonl", rng)
    _write_splits(folder / "splits.parquet", parts)
    (folder / "recipe.yaml").write_text("model: tiny\nmethod: light\n", encoding="utf-8")
    write_manifest(
        folder,
        _manifest(parts, train, classes, judged, baselines, differences, costs, remedies, source),
    )
    return folder


def _predictions(
    rng: np.random.Generator,
    classes: tuple[str, ...],
    names: tuple[str, ...],
    share: np.ndarray,
    rows: int,
    split: str,
    defer: int,
    unknown: int,
    groups: str | None,
    skill: float = 1.0,
) -> Predictions:
    """Rows by class share; the right logit is raised by an amount that is often, not always,
    enough. The last class gets no row, so that there is one which can't be judged."""
    labels = rng.choice(
        np.array(names[:-1] if len(names) > 2 else names, dtype=object),
        rows,
        p=_normal(share[:-1] if len(names) > 2 else share),
    )
    place = {name: k for k, name in enumerate(classes)}
    logits = rng.normal(size=(rows, len(classes)))
    logits[np.arange(rows), [place[n] for n in labels]] += rng.normal(
        0.2 + skill + math.log(len(classes)), 1.6, rows
    )
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    decided = np.array(classes, dtype=object)[p.argmax(1)]
    decided[:defer] = "defer"
    if unknown:
        labels[-unknown:] = "never seen"
    return Predictions(
        classes,
        text_column([f"{split}-{k + 1}" for k in range(rows)]),
        text_column([split] * rows),
        np.full(rows, -1 if split == "test" else 0),
        text_column([groups] * rows),
        np.arange(rows) // 2 if split == "test" else np.arange(rows) + rows,
        labels,
        decided,
        logits,
        p,
    )


def _normal(share: np.ndarray) -> np.ndarray:
    return share / share.sum()


def _joined(parts: list[Predictions]) -> Predictions:
    def of(name: str) -> np.ndarray:
        return np.concatenate([getattr(part, name) for part in parts])

    names = ("ids", "splits", "folds", "groups", "clusters", "labels", "decided", "logits")
    return Predictions(parts[0].classes, *(of(name) for name in names), of("probabilities"))


def _share_of(hits: int, of: int, what: str) -> Estimate:
    """Wilson's interval: good enough for a fixture, and none below five rows."""
    if of == 0:
        return Estimate(None, why=f"no rows {what}")
    if of < 5:
        return Estimate(hits / of, why=f"{of} rows {what} are too few for an interval")
    p, z = hits / of, 1.96
    middle = (p + z * z / (2 * of)) / (1 + z * z / of)
    half = z * math.sqrt(p * (1 - p) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    return Estimate(p, max(0.0, middle - half), min(1.0, middle + half), method="wilson")


def _scores(p: Predictions, train: dict[str, int], split: str, costs: bool) -> Scores:
    found: dict[str, ClassScores] = {}
    ranked = sorted(train, key=train.__getitem__)
    for name in sorted({*p.classes, *p.labels}):
        rows, decided = int((p.labels == name).sum()), int((p.decided == name).sum())
        hits = int(((p.labels == name) & (p.decided == name)).sum())
        recall, precision = (
            _share_of(hits, rows, "of it"),
            _share_of(hits, decided, "decided as it"),
        )
        f1 = _share_of(2 * hits, rows + decided, "of it or decided as it")
        trained = train.get(name, 0)
        band = None
        if name in train:
            band = ("tail", "middle", "head")[min(3 * ranked.index(name) // len(ranked), 2)]
        found[name] = ClassScores(
            rows,
            decided,
            trained,
            band,
            {"precision": precision, "recall": recall, "f1": f1, "average_precision": recall},
        )
    f1s = [c.measures["f1"].value or 0.0 for c in found.values() if c.rows]
    recalls = [c.measures["recall"].value or 0.0 for c in found.values() if c.rows]
    correct = float((p.labels == p.decided).mean())
    measures = {
        "accuracy": _about(correct, 0.03),
        "balanced_accuracy": _about(float(np.mean(recalls)), 0.05),
        "macro_f1": _about(float(np.mean(f1s)), 0.05),
        "mcc": _about(correct - 0.1, 0.04),
        "macro_roc_auc": Estimate(None, why="a class has no rows"),
        "log_loss": _about(0.61, 0.1),
        "brier": Estimate(0.3, why="too few groups of rows"),
        "ece": _about(0.04, 0.01),
        "expected_cost": _about(41234.5 if costs else 1000 * (1 - correct), 12.0),
    }
    bands = {}
    for band in ("head", "middle", "tail"):
        inside = [name for name, c in found.items() if c.band == band]
        values = [found[name].measures["f1"].value or 0.0 for name in inside if found[name].rows]
        value = (
            _about(float(np.mean(values)), 0.1) if values else Estimate(None, why="no rows judged")
        )
        bands[band] = {"classes": inside, "macro_f1": value, "macro_recall": value}
    return Scores(split, len(p), measures, found, bands, ("macro means are over judged classes",))


def _about(value: float, half: float) -> Estimate:
    high = value + half if value > 1 else min(1.0, value + half)
    return Estimate(value, max(0.0, value - half), high, method="bootstrap")


def _matrix(costs: dict[str, Any] | None, classes: tuple[str, ...]) -> np.ndarray | None:
    from equipoise.costs import costs_from

    return None if costs is None else costs_from(costs).matrix(classes)


def _write_texts(
    folder: Path, parts: dict[str, Predictions], rng: np.random.Generator, text: str | None
) -> None:
    ids = [key for part in parts.values() for key in part.ids]
    table = pa.table(
        {
            "id": ids,
            "split": [name for name, part in parts.items() for _ in part.ids],
            "text": [
                text or " ".join(rng.choice(WORDS, rng.integers(5, 60))).capitalize() + "."
                for _ in ids
            ],
        }
    )
    pq.write_table(table, folder / "judged_rows.parquet")


def _write_history(path: Path, rng: np.random.Generator) -> None:
    lines = []
    for step in range(1, 301):
        lines.append(
            {
                "step": step,
                "epoch": step / 60,
                "seconds": step * 0.2,
                "loss": 2.2 * math.exp(-step / 80) + 0.1 + abs(rng.normal(0, 0.08)),
                "learning_rate": 2e-4,
            }
        )
        if step % 60 == 0:
            value = 0.85 - 0.4 * math.exp(-step / 60) - (0.02 if step == 300 else 0)
            lines.append(
                {
                    "step": step,
                    "epoch": step / 60,
                    "seconds": step * 0.2,
                    "loss": None,
                    "measures": {"macro_f1": value, "log_loss": 1 - value},
                }
            )
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def _write_splits(path: Path, parts: dict[str, Predictions]) -> None:
    joined = _joined(list(parts.values()))
    columns = {"id": joined.ids, "split": joined.splits, "label": joined.labels}
    table = {name: pa.array(column, pa.string()) for name, column in columns.items()}
    pq.write_table(pa.table({**table, "cluster": pa.array(joined.clusters)}), path)


def _manifest(
    parts: dict[str, Predictions],
    train: dict[str, int],
    classes: tuple[str, ...],
    judged: str,
    baselines: tuple[str, ...],
    differences: dict[str, tuple[float, float | None, float | None]] | None,
    costs: dict[str, Any] | None,
    remedies: bool,
    source: str,
) -> Manifest:
    counts = {name: _counts(part) for name, part in parts.items()}
    total = sum(train.values())
    if differences is None:
        differences = {
            "plain": (0.061, 0.021, 0.102),
            "tfidf": (0.044, 0.006, 0.083),
            "vectors": (0.03, 0.004, 0.058),
        }
    after = {name: max(n, max(train.values()) // 2) for name, n in train.items()}
    steps = [
        {"name": "random_oversampling", "moment": "rows", "settings": {"to": 0.5},
         "before": train, "after": after,
         "effect": f"{sum(after.values()) - total} rows of rare classes were repeated."},
        {"name": "logit_adjusted", "moment": "loss", "settings": {"tau": 1.0},
         "effect": "Rare classes must win by a wider margin in training."},
        {"name": "temperature", "moment": "decision", "settings": {},
         "effect": "Probabilities were calibrated with temperature 1.30."},
    ]  # fmt: skip
    return Manifest.model_validate(
        {
            "id": "3f9a5c1be2", "recipe_id": "77aa01c3d4", "seed": 7,
            "recipe": {"model": "sentence-transformers/all-MiniLM-L6-v2", "method": "light",
                       "epochs": 5, "costs": costs},
            "created": "2026-03-04T05:06:07+00:00",
            "versions": {"equipoise": "0.1.0", "python": "3.11.9", "torch": "2.11.0"},
            "device": "cpu",
            "rows": {
                "source": source, "fingerprint": "ab" * 32,
                "columns": {"text": "body", "label": "topic"},
                "splits": {
                    "train": {"rows": total, "clusters": total - 40, "counts": train},
                    **{name: {"rows": len(part), "clusters": len(set(part.clusters.tolist())),
                              "counts": counts[name]} for name, part in parts.items()},
                },
                "warnings": ["labels “Fraud” and “fraud” differ only by case"],
                "notes": ["15 % of the training rows were held out for validation."],
            },
            "classes": list(classes),
            "remedies": steps if remedies else [],
            "model": {"name": "sentence-transformers/all-MiniLM-L6-v2", "fingerprint": "cd" * 32,
                      "architecture": "BertModel", "parameters": 22_713_216,
                      "trained_parameters": 3_552_000, "method": "light", "layers": 6, "cut": 4,
                      "pooling": "mean", "head": "cosine", "max_tokens": 256,
                      "truncated_rows": 3},
            "training": {"epochs_planned": 5, "epochs_run": 5, "steps": 300, "best_step": 240,
                         "chosen_by": "macro_f1", "stopped": None},
            "judged": judged,
            "seconds": {"read": 0.21, "cache": 41.2, "train": 22.7, "judge": 3.4},
            "peak_memory_bytes": 1_288_490_188,
            "baselines": [{"name": name, "title": TITLES[name],
                           "language_model": name == "plain", "seconds": 3.2 + 40 * k}
                          for k, name in enumerate(baselines)],
            "comparisons": [
                {"against": name, "measure": "macro_f1", "value": differences[name][0],
                 "low": differences[name][1], "high": differences[name][2],
                 "why": None if differences[name][1] is not None else "too few groups of rows",
                 "rows": len(parts[judged]), "says": f"Compared with {name}, row by row."}
                for name in baselines if name in differences
            ],
            "notes": ["The two rarest classes hold fewer than ten rows."],
            "files": {},
        }
    )  # fmt: skip


def _counts(part: Predictions) -> dict[str, int]:
    names, counts = np.unique(part.labels.astype(str), return_counts=True)
    return dict(zip(names.tolist(), counts.tolist(), strict=True))
