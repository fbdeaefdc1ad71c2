"""How scores become probabilities, and probabilities a decision: written as `decision.json`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from equipoise.costs.table import CostTable
from equipoise.errors import FolderError, ShapeError
from equipoise.records.files import read_json, write_json

SCHEMA = 2
_OLDER = (1,)
"""Schemas that this code reads as well. 1 had temperature, offsets and (K, K) costs only."""

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Rescale:
    """Logits as the rule takes them: scale * z + bias, before anything else."""

    scale: Array
    """(K,) above 0."""
    bias: Array
    """(K,) nats."""


@dataclass(frozen=True, eq=False)
class VectorScaling:
    """Calibrated logits are scale * (z - mean of the row's z) + bias, in place of z / temperature.

    The mean is taken out because a constant added to all of a row's logits means nothing.
    """

    scale: Array
    """(K,) above 0."""
    bias: Array
    """(K,) nats."""


@dataclass(frozen=True, eq=False)
class Isotonic:
    """Each class's probability under `log_given` is bent by a rising curve, then all are divided by
    their sum: y_k(p) = kept_k * (line through the knots of k at p) + (1 - kept_k) * p."""

    log_given: Array
    """(K,) log class shares of the rows that the curves were fitted on."""
    knots: tuple[tuple[Array, Array], ...]
    """K pairs (p, share): both (m,), rising, within 0..1. One pair per class; m may be 0."""
    kept: Array
    """(K,) 0 to below 1: how much of the curve is kept; 0 leaves the class as it was."""


@dataclass(frozen=True, eq=False)
class PriorShift:
    """`log_target` was, or may be, estimated from rows whose labels nobody has seen."""

    log_stated: Array
    """(K,) log class shares from which every estimate starts, and towards which it is drawn."""
    pull_rows: float
    """Rows that the stated shares count for beside the rows seen; 0: nothing."""
    rows: int = 0
    """Rows from which the rule's `log_target` was estimated; 0: it is the stated one."""


@dataclass(frozen=True)
class Defer:
    """When a row is left to a person."""

    kind: Literal["costs", "threshold"]
    """"costs": where leaving it is cheaper than the cheapest decision, by more than `threshold`;
    the rule's costs then have K + 1 columns. "threshold": where the decision is not sure enough."""
    threshold: float
    """For kind "costs", user's unit: least saving for which a row is left to a person; below 0
    where a share of the rows was asked for, whatever they save.
    For kind "threshold" by `on`: confidence (the decided class's probability) below which, or
    expected cost of the decision (user's unit) above which it is left."""
    on: Literal["confidence", "cost"] = "confidence"
    """What the threshold is for; only for kind "threshold"."""
    review_capacity: float | None = None
    """Share of rows, 0 to 1, that people can look at; the threshold was set to keep within it on
    validation rows. None: no limit."""

    def __post_init__(self) -> None:
        if self.kind not in ("costs", "threshold") or self.on not in ("confidence", "cost"):
            raise ShapeError(f"defer by {self.kind!r} on {self.on!r} is not known")
        if not math.isfinite(self.threshold):
            raise ShapeError(f"defer: the threshold is {self.threshold}, not a finite number")
        if self.review_capacity is not None and not 0 <= self.review_capacity <= 1:
            raise ShapeError(f"defer: review_capacity {self.review_capacity} is no share of rows")


@dataclass(frozen=True, eq=False)
class DecisionRule:
    """Logits z (rows, K) become posteriors p = softmax(c(z) + log_target - log_source), c being
    z / temperature or another calibration, and p becomes a decision: the class with the largest
    log p + offset, or with the least expected cost, or none ("defer": left to a person).

    Where a row may have several labels (kind "labels"), each is a yes or no of its own: the vectors
    of log shares hold the log-odds of each label's share, p = sigmoid(z / temperature + log_target
    - log_source), and every label is decided whose log-odds of p + offset are 0 or more.

    `remedies/decisions/apply.py`, for several labels `several.py`, is where a rule acts.
    """

    classes: tuple[str, ...]
    """K names, sorted."""
    temperature: float
    """> 0, no unit; 1 leaves the logits as they are."""
    log_source: Array
    """(K,) natural log of the class shares under which softmax(z) is a posterior: those of the
    rows as fed for a plain loss, flat after a loss or sampler that removed them."""
    log_target: Array
    """(K,) natural log of the class shares that the probabilities are given for."""
    kind: Literal["argmax", "offsets", "costs", "labels"]
    offsets: Array
    """(K,) nats added to log p before the largest is taken; zeros unless kind is "offsets". For
    kind "labels" nats added to the log-odds: a threshold of 1 / (1 + e^offset) on p."""
    costs: Array | None = None
    """(K, K) cost per (true, decided) in the user's unit, or (K, K + 1), the last column being
    "left to a person". For kind "costs", and for deferral on expected cost."""
    notes: tuple[str, ...] = ()
    """How the parts were fitted, one line per remedy."""
    rescale: Rescale | None = None
    calibration: VectorScaling | Isotonic | None = None
    """VectorScaling takes the place of `temperature` (then 1); Isotonic comes after it."""
    prior_shift: PriorShift | None = None
    group_offsets: Mapping[str, Array] = field(default_factory=dict)
    """Group name to the (K,) offsets that take the place of `offsets` for its rows."""
    group_column: str = ""
    """The column that names a row's group; empty: the user's group columns."""
    defer: Defer | None = None
    at_least_one: bool = False
    """Only for kind "labels": a row that no label is set for gets the one that comes nearest."""
    cost_factors: Array | None = None
    """As `costs`, no unit: each cost is this times the row's amount, plus `costs`; None: no cost
    depends on the row."""
    cost_column: str | None = None
    """The rows' column of amounts; None where `cost_factors` is."""

    def __post_init__(self) -> None:
        k = len(self.classes)
        for name, vector in _vectors(self):
            if vector.shape != (k,):
                raise ShapeError(f"{name} has shape {vector.shape}, expected ({k},)")
        for name in ("rescale", "calibration"):
            part = getattr(self, name)
            if isinstance(part, Rescale | VectorScaling) and not (part.scale > 0).all():
                raise ShapeError(f"{name}.scale must be above 0 everywhere")
        if isinstance(self.calibration, Isotonic) and len(self.calibration.knots) != k:
            raise ShapeError(f"{len(self.calibration.knots)} curves, expected {k}, one per class")
        self._check_costs(k)
        self._check_labels()

    def _check_labels(self) -> None:
        if self.kind != "labels":
            if self.at_least_one:
                raise ShapeError('at_least_one is only for kind "labels"')
            return
        parts = ("costs", "rescale", "calibration", "prior_shift", "defer")
        wrong = [name for name in parts if getattr(self, name) is not None]
        if wrong or self.group_offsets:
            raise ShapeError(f"kind is 'labels', which has no {', '.join(wrong) or 'groups'}")

    @property
    def cost_table(self) -> CostTable | None:
        """The costs as they price rows."""
        if self.costs is None:
            return None
        return CostTable(self.costs, self.cost_factors, self.cost_column)

    def _check_costs(self, k: int) -> None:
        by_cost = self.defer is not None and self.defer.on == "cost"
        if self.costs is None and (self.kind == "costs" or by_cost):
            raise ShapeError(f"kind is {self.kind!r} or rows are left by cost, and costs are None")
        if self.costs is not None and not (self.kind == "costs" or by_cost):
            raise ShapeError(f"kind is {self.kind!r}, costs are {self.costs!r}")
        if self.costs is not None and self.costs.shape not in ((k, k), (k, k + 1)):
            raise ShapeError(
                f"costs have shape {self.costs.shape}, expected ({k}, {k}) or ({k}, {k + 1})"
            )
        if self.cost_factors is not None and (
            self.costs is None or self.cost_factors.shape != self.costs.shape
        ):
            raise ShapeError("cost_factors do not have the shape of the costs")
        priced = self.kind == "costs" and self.costs is not None and self.costs.shape[1] == k + 1
        if self.defer is not None and self.defer.kind == "costs" and not priced:
            raise ShapeError("deferral by costs needs the cost of leaving a row to a person")


def _vectors(rule: DecisionRule) -> list[tuple[str, Array]]:
    """Everything that has one entry per class, by name."""
    found = [(name, getattr(rule, name)) for name in ("log_source", "log_target", "offsets")]
    found += [(f"group_offsets[{group!r}]", v) for group, v in rule.group_offsets.items()]
    for part in (rule.rescale, rule.calibration):
        if isinstance(part, Rescale | VectorScaling):
            found += [("scale", part.scale), ("bias", part.bias)]
        elif isinstance(part, Isotonic):
            found += [("log_given", part.log_given), ("kept", part.kept)]
    if rule.prior_shift is not None:
        found.append(("log_stated", rule.prior_shift.log_stated))
    return found


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
            "cost_factors": None if rule.cost_factors is None else rule.cost_factors.tolist(),
            "cost_column": rule.cost_column,
            "notes": list(rule.notes),
            "rescale": _plain(rule.rescale),
            "calibration": _plain(rule.calibration),
            "prior_shift": _plain(rule.prior_shift),
            "group_offsets": {group: v.tolist() for group, v in rule.group_offsets.items()},
            "group_column": rule.group_column,
            "defer": _plain(rule.defer),
            "at_least_one": rule.at_least_one,
        },
    )


def read_decision(path: Path) -> DecisionRule:
    """Raises FolderError if the file is missing, broken, or not a rule."""
    record: dict[str, Any] = read_json(path, schema=SCHEMA, older=_OLDER)
    try:
        costs = record["costs"]
        return DecisionRule(
            classes=tuple(record["classes"]),
            temperature=float(record["temperature"]),
            log_source=_array(record["log_source"]),
            log_target=_array(record["log_target"]),
            kind=record["kind"],
            offsets=_array(record["offsets"]),
            costs=None if costs is None else _array(costs),
            cost_factors=_array(f) if (f := record.get("cost_factors")) is not None else None,
            cost_column=record.get("cost_column"),
            notes=tuple(record["notes"]),
            **_newer_parts(record),
        )
    except (KeyError, TypeError, ValueError, AttributeError, ShapeError) as error:
        raise FolderError(f"{path}: not a decision rule ({error}); make the run again") from None


def _newer_parts(record: Mapping[str, Any]) -> dict[str, Any]:
    """What schema 1 had not."""
    if record["schema"] == 1:
        return {}
    makers: dict[str, Callable[..., Any]] = {
        "rescale": _pair_of(Rescale),
        "calibration": _calibration,
        "prior_shift": lambda log_stated, pull_rows, rows: PriorShift(
            _array(log_stated), float(pull_rows), int(rows)
        ),
        "defer": Defer,
    }
    parts = {
        name: None if record[name] is None else make(**record[name])
        for name, make in makers.items()
    }
    groups = {g: _array(v) for g, v in record["group_offsets"].items()}
    return parts | {
        "group_offsets": groups,
        "group_column": str(record["group_column"]),
        "at_least_one": bool(record.get("at_least_one", False)),
    }


def _pair_of(kind: type[Rescale] | type[VectorScaling]) -> Callable[..., Any]:
    return lambda scale, bias: kind(_array(scale), _array(bias))


def _calibration(kind: str, **parts: Any) -> VectorScaling | Isotonic:
    if kind == "VectorScaling":
        return VectorScaling(_array(parts["scale"]), _array(parts["bias"]))
    if kind == "Isotonic":
        knots = tuple((_array(p), _array(share)) for p, share in parts["knots"])
        return Isotonic(_array(parts["log_given"]), knots, _array(parts["kept"]))
    raise ValueError(f"calibration {kind!r} is not known")


def _plain(part: Any) -> dict[str, Any] | None:
    """A part of the rule as JSON holds it."""
    if part is None:
        return None
    record = {name: _listed(value) for name, value in vars(part).items()}
    return {"kind": type(part).__name__} | record if isinstance(part, _NAMED) else record


_NAMED = (VectorScaling, Isotonic)
"""Parts of which there are several kinds in one place."""


def _listed(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return [_listed(v) for v in value] if isinstance(value, tuple) else value


def _array(values: Any) -> Array:
    return np.array(values, dtype=np.float64)
