"""How scores become probabilities, and probabilities a decision: written as `decision.json`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from equipoise.errors import FolderError, ShapeError
from equipoise.records.files import read_json, write_json

SCHEMA = 1


@dataclass(frozen=True, eq=False)
class DecisionRule:
    """Logits z (rows, K) become posteriors p = softmax(z / temperature + log_target - log_source)
    and p becomes a decision: the class with the largest log p + offset, or with the least
    expected cost.
    """

    classes: tuple[str, ...]
    """K names, sorted."""
    temperature: float
    """> 0, no unit; 1 leaves the logits as they are."""
    log_source: NDArray[np.float64]
    """(K,) natural log of the class shares under which softmax(z) is a posterior: those of the
    rows as fed for a plain loss, flat after a loss or sampler that removed them."""
    log_target: NDArray[np.float64]
    """(K,) natural log of the class shares that the probabilities are given for."""
    kind: Literal["argmax", "offsets", "costs"]
    offsets: NDArray[np.float64]
    """(K,) nats added to log p before the largest is taken; zeros unless kind is "offsets"."""
    costs: NDArray[np.float64] | None = None
    """(K, K) cost per (true, decided) in the user's unit; only for kind "costs"."""
    notes: tuple[str, ...] = ()
    """How the parts were fitted, one line each."""

    def __post_init__(self) -> None:
        k = len(self.classes)
        for name in ("log_source", "log_target", "offsets"):
            if getattr(self, name).shape != (k,):
                raise ShapeError(f"{name} has shape {getattr(self, name).shape}, expected ({k},)")
        if (self.kind == "costs") != (self.costs is not None):
            raise ShapeError(f"kind is {self.kind!r}, costs are {self.costs!r}")
        if self.costs is not None and self.costs.shape != (k, k):
            raise ShapeError(f"costs have shape {self.costs.shape}, expected ({k}, {k})")


def write_decision(path: Path, rule: DecisionRule) -> None:
    write_json(
        path,
        {
            "schema": SCHEMA,
            "classes": list(rule.classes),
            "temperature": rule.temperature,
            "log_source": rule.log_source.tolist(),
            "log_target": rule.log_target.tolist(),
            "kind": rule.kind,
            "offsets": rule.offsets.tolist(),
            "costs": None if rule.costs is None else rule.costs.tolist(),
            "notes": list(rule.notes),
        },
    )


def read_decision(path: Path) -> DecisionRule:
    """Raises FolderError if the file is missing, broken, or not a rule."""
    record: dict[str, Any] = read_json(path, schema=SCHEMA)
    try:
        costs = record["costs"]
        return DecisionRule(
            classes=tuple(record["classes"]),
            temperature=float(record["temperature"]),
            log_source=np.array(record["log_source"], dtype=np.float64),
            log_target=np.array(record["log_target"], dtype=np.float64),
            kind=record["kind"],
            offsets=np.array(record["offsets"], dtype=np.float64),
            costs=None if costs is None else np.array(costs, dtype=np.float64),
            notes=tuple(record["notes"]),
        )
    except (KeyError, TypeError, ValueError, ShapeError) as error:
        raise FolderError(f"{path}: not a decision rule ({error}); make the run again") from None
