"""The audit finds what is planted and names nothing on clean tables; label errors on real rows.

200 random clean tables, and 600 with two faults each, so that each of the six is planted 200
times: one of the texts (duplicates, leaks, conflicting labels) and one beyond them (5 to 20 % wrong
labels, a pair of classes that are one, a class too small to judge). Texts are made of random words;
vectors are drawn (Gaussian, heavy-tailed or skewed, one to three humps a class, 0 to about 7 %
overlap of the nearest classes) and handed to the audit with the probe that `equipoise audit` would
fit on them. Clean tables have times and groups that mean nothing as well. Aim: each fault named in
95 % of its tables or more, and each wrongly named in 5 % of the clean ones or fewer.

Harder for label errors are 200 tables of overlap and nothing else, most of it far heavier: vectors
of real training rows, with labels drawn anew from a smooth law. No label is wrong, so none should
be named so.

The limits of the audit were set on other draws of the same tables.

`trec6_noisy` has 15 % of its training labels flipped, 60 % of them to a class that is easily
confused, and the truth beside them: precision and recall of the suspects, class by class.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.audit_tables import (
    OTHER_FAULTS,
    TEXT_FAULTS,
    Made,
    clean_table,
    given_of,
    overlap_given,
    plant,
)
from benchmarks.common import Bench, Unit
from benchmarks.sets import open_folder
from equipoise.audit import Given, audit
from equipoise.audit.neighbours import nearest_rows
from equipoise.audit.suspects import checked_rows, find_suspects
from equipoise.auditing import audit_table
from equipoise.auditing.encoder import add_encoder
from equipoise.auditing.gather import gather
from equipoise.data.read import read_rows
from equipoise.progress import silent

TABLES = {"clean": 200, "overlap": 200, "planted": 600}
PER_UNIT = 50


def judge(made: Made) -> tuple[Counter[str], list[float]]:
    """What was planted, found, and named besides; and where labels were made wrong, the share that
    is, the share as estimated, and precision and recall of the suspects."""
    given = given_of(made)
    found = audit(given)
    named = {finding.kind: finding for finding in found.findings}
    tally: Counter[str] = Counter({"tables": 1})
    for kind, classes in made.planted.items():
        tally[f"planted {kind}"] += 1
        tally[f"found {kind}"] += kind in named and set(classes) <= set(named[kind].classes)
    for name in set(named) - set(made.planted):
        tally[f"besides {name}"] += 1
    noise = found.measured.noise
    if not made.wrong or noise is None:
        return tally, []
    return tally, [len(made.wrong) / len(given), noise.rate, *_hits(given, made)]


def judge_overlap(seed: int) -> tuple[Counter[str], list[float]]:
    """Label errors named where none are. That classes can't be told apart is true of most."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    named = {finding.kind for finding in audit(overlap_given(seed)).findings}
    return Counter({"tables": 1, "besides label_errors": int("label_errors" in named)}), []


def _hits(given: Given, made: Made) -> list[float]:
    checked = checked_rows(given, nearest_rows(given, seed=0))
    rows = {int(given.ids[row]) for row in checked.rows[find_suspects(checked)]}
    right = len(rows & made.wrong)
    return [right / max(len(rows), 1), right / max(len(made.wrong), 1)]


def run(unit: Unit) -> dict[str, Any]:
    if unit.settings["kind"] == "trec6_noisy":
        return real_rows(int(unit.settings["seed"]))
    first, kind = int(unit.settings["first"]), unit.settings["kind"]
    total: Counter[str] = Counter()
    hits: list[list[float]] = []
    for seed in range(first, first + int(unit.settings["tables"])):
        tally, hit = judge_overlap(seed) if kind == "overlap" else judge(_MAKERS[kind](seed))
        total += tally
        hits += [hit] if hit else []
    result: dict[str, Any] = dict(sorted(total.items()))
    if hits:
        result["wrong_labels"] = np.array(hits).round(4).tolist()
    return result


_MAKERS = {"clean": clean_table, "planted": plant}


def real_rows(seed: int) -> dict[str, Any]:
    """Precision and recall of the suspects among the training rows of trec6_noisy, by the class
    that the row is labelled as (precision) and that it truly is (recall); and what is named on
    the same rows with their true labels."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    by = "audit_findings trec6_noisy"
    table = read_rows(open_folder("trec6_noisy", by=by))
    clean = read_rows(open_folder("trec6", by=by))
    given, _ = gather(table, costs=None, seed=seed, keep_texts=False)
    given, _ = add_encoder(given, None, seed, [], [], {}, silent)
    truth = table.parts["train"].columns["true_label"]
    checked = checked_rows(given, nearest_rows(given, seed=seed))
    suspects = checked.rows[find_suspects(checked)]
    suspects = suspects[given.parts[suspects] == "train"]
    n = len(truth)
    labels = np.array([given.classes[k] for k in given.labels[:n]])
    wrong = labels != truth.astype(str)
    flagged = np.zeros(n, dtype=bool)
    flagged[suspects] = True
    by_class = {
        name: {
            "rows": int((labels == name).sum()),
            "wrong": int((wrong & (labels == name)).sum()),
            "suspects": int((flagged & (labels == name)).sum()),
            "precision": _share(flagged & wrong & (labels == name), flagged & (labels == name)),
            "recall": _share(flagged & wrong & (labels == name), wrong & (labels == name)),
            "recall_of_those_that_are_it": _share(
                flagged & wrong & (truth == name), wrong & (truth == name)
            ),
        }
        for name in given.classes
    }
    named = {f.kind: f.says for f in audit_table(table, seed=seed).findings}
    true = {f.kind: f.says for f in audit_table(clean, seed=seed).findings}
    return {
        "rows": n,
        "wrong": int(wrong.sum()),
        "suspects": int(flagged.sum()),
        "precision": _share(flagged & wrong, flagged),
        "recall": _share(flagged & wrong, wrong),
        "named": "label_errors" in named,
        "named_on_true_labels": "label_errors" in true,
        "says": named.get("label_errors", ""),
        "says_on_true_labels": true.get("label_errors", ""),
        "classes": by_class,
    }


def _share(part: NDArray[np.bool_], whole: NDArray[np.bool_]) -> float | None:
    return round(float(part.sum() / whole.sum()), 4) if whole.any() else None


def summarise(units: list[dict[str, Any]]) -> dict[str, Any]:
    total: dict[str, Counter[str]] = {kind: Counter() for kind in TABLES}
    hits: list[list[float]] = []
    summary: dict[str, Any] = {}
    for unit in units:
        kind, result = unit["settings"]["kind"], unit["result"]
        if kind == "trec6_noisy":
            summary[kind] = {k: v for k, v in result.items() if k != "classes"}
            continue
        total[kind] += Counter({k: v for k, v in result.items() if isinstance(v, int)})
        hits += result.get("wrong_labels", [])
    clean, overlap, planted = (total[kind] for kind in TABLES)
    if clean["tables"]:
        wrongly = _shares(clean, "besides ", clean["tables"])
        wrongly.pop("imbalance", None)  # it is there
        summary["named on clean tables"] = wrongly
        summary["clean tables"] = clean["tables"]
    if overlap["tables"]:
        named = overlap["besides label_errors"] / overlap["tables"]
        summary["label errors named where there is overlap alone"] = round(named, 4)
        summary["tables of overlap"] = overlap["tables"]
    if planted["tables"]:
        summary["found where planted"] = {
            kind: round(planted[f"found {kind}"] / planted[f"planted {kind}"], 4)
            for kind in (*TEXT_FAULTS, *OTHER_FAULTS)
        }
        summary["planted"] = {k: planted[f"planted {k}"] for k in (*TEXT_FAULTS, *OTHER_FAULTS)}
        summary["named besides"] = _shares(planted, "besides ", planted["tables"])
    if hits:
        truth, rate, precision, recall = np.array(hits).T
        summary["wrong labels"] = {
            "tables": len(truth),
            "share": round(float(truth.mean()), 4),
            "estimated": round(float(rate.mean()), 4),
            "mean absolute error": round(float(np.abs(rate - truth).mean()), 4),
            "precision of suspects": round(float(precision.mean()), 4),
            "recall of suspects": round(float(recall.mean()), 4),
        }
    return summary


def _shares(total: Counter[str], start: str, tables: int) -> dict[str, float]:
    return {
        name.removeprefix(start): round(n / tables, 4)
        for name, n in sorted(total.items())
        if name.startswith(start)
    }


bench = Bench(
    "audit_findings",
    version=2,
    units=[
        *(
            Unit(f"{kind}-{first:03d}", {"kind": kind, "first": first, "tables": PER_UNIT})
            for kind, tables in TABLES.items()
            for first in range(0, tables, PER_UNIT)
        ),
        Unit("trec6_noisy", {"kind": "trec6_noisy", "seed": 0}),
    ],
    run=run,
    price_seconds=lambda unit: 120.0 if "seed" in unit.settings else 1.5 * unit.settings["tables"],
    summarise=summarise,
    about="Random tables with planted faults, clean ones, and trec6_noisy with its truth.",
)

if __name__ == "__main__":
    raise SystemExit(bench.main())
