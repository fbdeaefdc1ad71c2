"""How hard the demo's rows are: two baselines, fitted on its training rows as they are.

    python -m benchmarks.demo_rows

The lines of the table in docs/demo.md.
"""

from __future__ import annotations

from typing import Any

from benchmarks.common import Bench, Unit

RAREST = "safety_hazard"
"""The rarest class that is judged."""
SEED = 0


def run_unit(unit: Unit) -> dict[str, Any]:
    import numpy as np
    from sklearn.metrics import accuracy_score, f1_score

    from equipoise.data.read import read_rows
    from equipoise.demo import demo_folder
    from equipoise.models.baselines import tfidf_baseline, vectors_baseline

    table = read_rows(demo_folder())
    train, test = table.parts["train"], table.parts["test"]
    classes = tuple(train.counts())
    if unit.name == "tfidf":
        probabilities = tfidf_baseline(train, test, classes, seed=SEED)
    else:
        from benchmarks.rivals.common import encode

        vectors = [encode([str(text) for text in part.texts]) for part in (train, test)]
        probabilities = vectors_baseline(
            vectors[0], np.asarray(train.labels), vectors[1], classes, SEED
        )
    decided = [classes[k] for k in probabilities.argmax(axis=1)]
    true = np.asarray(test.labels).tolist()
    return {
        "macro_f1": round(float(f1_score(true, decided, average="macro")), 4),
        "accuracy": round(float(accuracy_score(true, decided)), 4),
        f"f1_{RAREST}": round(float(f1_score(true, decided, labels=[RAREST], average=None)[0]), 4),
        "train_rows": len(train),
        "test_rows": len(test),
    }


def summarise(units: list[dict[str, Any]]) -> dict[str, Any]:
    found = {unit["name"]: unit["result"]["macro_f1"] for unit in units}
    said = ", ".join(f"{name} {value:.2f}" for name, value in found.items())
    return {"says": f"test macro-F1 of baselines on the demo's rows: {said}"}


BENCH = Bench(
    "demo_rows",
    units=[Unit("tfidf", {"seed": SEED}), Unit("vectors", {"seed": SEED})],
    run=run_unit,
    price_seconds=lambda unit: 5.0 if unit.name == "tfidf" else 30.0,
    summarise=summarise,
    about=(__doc__ or "").strip().splitlines()[0],
)

if __name__ == "__main__":
    raise SystemExit(BENCH.main())
