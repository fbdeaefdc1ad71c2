"""How far verdicts of a judge model are those of people."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.errors import DataError
from equipoise.records.judged import Agreement
from equipoise.records.scores import Estimate
from equipoise.statistics.clusters import effective_rows, equal_weights, mean_cluster_size
from equipoise.statistics.intervals import share_interval
from equipoise.statistics.sums import Floats

VERDICTS = ("a", "b", "tie")


def agreement_of(
    ours: Mapping[str, str], theirs: Mapping[str, str], clusters: Mapping[str, int]
) -> Agreement:
    """Of verdicts by pair.

    Kappa is (p - e) / (1 - e), p being the share of same verdicts and e that expected by chance.
    Its interval is that of p (mid-P, pairs of one cluster counted as one), e taken as known: so
    twenty same verdicts of twenty are not a kappa of 1 for certain.
    Source  Cohen 1960, A coefficient of agreement for nominal scales, EPM 20(1).
    """
    both = [pair for pair in ours if pair in theirs]
    n = len(both)
    if not n:
        none = Estimate(None, why="people judged none of the pairs that the model judged")
        return Agreement(0, none, none)
    alike = np.array([ours[pair] == theirs[pair] for pair in both])
    same = share_estimate(alike, np.array([clusters[pair] for pair in both]))
    mine, other = (Counter(side[pair] for pair in both) for side in (ours, theirs))
    chance = sum(mine[v] * other[v] for v in VERDICTS) / n**2
    if chance == 1:
        kappa = Estimate(None, why="0/0: all verdicts of both are the same one")
    else:
        value, low, high = (
            (float(p) - chance) / (1 - chance)
            for p in (alike.mean(), same.low or 0.0, same.high or 1)
        )
        kappa = Estimate(value, max(low, -1.0), high, method="mid-p")
    return Agreement(n, same, kappa)


def share_estimate(
    values: NDArray[Any], clusters: NDArray[np.int64], weights: Floats | None = None
) -> Estimate:
    """Mean of (n,) values, each 0 to 1, so that it varies at most like a share of n; rows of one
    cluster count as one. weights (n,): see `share_of_rows`."""
    n = len(values)
    if n == 0:
        return Estimate(None, why="no pair has a verdict")
    size = mean_cluster_size(np.zeros(n, dtype=np.int64), clusters, 1)
    rows = n if weights is None else equal_weights(weights)
    worth = effective_rows(np.array([float(rows)]), size, 1.0)
    value = float(np.average(values, weights=weights))
    low, high = share_interval(value * worth, worth, guarantee=False)
    return Estimate(value, min(float(low[0]), value), max(float(high[0]), value), method="mid-p")


def read_human_verdicts(path: Path) -> dict[str, str]:
    """Verdicts of people by pair: a CSV file with columns `id` and `verdict`, or JSONL with such
    fields; a verdict is "a", "b" or "tie".

    Raises  DataError with every fault.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: can't be read ({error}); give a CSV or JSONL file") from None
    faults: list[str] = []
    found: dict[str, str] = {}
    for line, row in _rows(path, text, faults):
        pair, verdict = row.get("id"), str(row.get("verdict") or "").strip().lower()
        if pair is None or verdict not in VERDICTS:
            faults.append(
                f"{path}:{line}: needs an id and a verdict a, b or tie, found "
                f"{row.get('id')!r} and {row.get('verdict')!r}"
            )
        elif found.get(str(pair), verdict) != verdict:
            faults.append(f"{path}:{line}: {pair!r} has another verdict above; keep one of them")
        else:
            found[str(pair)] = verdict
    if faults:
        raise DataError(*faults)
    return found


def _rows(path: Path, text: str, faults: list[str]) -> list[tuple[int, dict[str, Any]]]:
    if path.suffix != ".jsonl":
        return list(enumerate(csv.DictReader(text.splitlines()), start=2))
    rows = []
    for line, written in enumerate(text.splitlines(), start=1):
        if not written.strip():
            continue
        try:
            row = json.loads(written)
        except json.JSONDecodeError as error:
            faults.append(f"{path}:{line}: no JSON ({error})")
            continue
        rows.append((line, row if isinstance(row, dict) else {}))
    return rows
