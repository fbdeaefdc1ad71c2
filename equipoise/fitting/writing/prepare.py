"""Turns to token ids, categories to numbers; and what such rows can't have, said at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from equipoise.defaults import COST_REMEDIES
from equipoise.errors import ModelError, SettingsError
from equipoise.fitting.prepared import Prepared
from equipoise.fitting.writing.keep import check_interpolates
from equipoise.models.load import Base
from equipoise.models.writing.template import hold_thoughts, sequences
from equipoise.recipe import Recipe
from equipoise.records.rows import Rows, Splits
from equipoise.remedies.remedy import RemedySpec
from equipoise.remedies.spec import remedy_text
from equipoise.remedies.table import REMEDIES

LOSSES = ("focal",)
"""Losses that mean something token by token: which token is right is not a question of class."""
PRICED = "cost_weights"
"""The remedy that takes a price per category."""
_ACT = ("choose", "weights", "row_weights", "sampler")
"""Kinds of remedies that act on rows by their category."""


def resolve_written(recipe: Recipe, categories: tuple[str, ...]) -> Recipe:
    """The recipe without the defaults that are for decisions. Raises SettingsError naming every
    setting that is for classes, and every price of what is none of the rows' categories."""
    faults = [*_remedy_faults(recipe), *_twice_faults(recipe), *_cost_faults(recipe, categories)]
    faults += _setting_faults(recipe)
    if faults:
        raise SettingsError(*faults)
    recipe = recipe.resolved(writes=True)
    if recipe.baselines is None:
        recipe = recipe.model_copy(update={"baselines": ("plain",)})
    return recipe


def _remedy_faults(recipe: Recipe) -> list[str]:
    if recipe.costs is not None and recipe.remedies == COST_REMEDIES:
        return []  # what costs bring along where no remedy is named: `_cost_faults` speaks of them
    faults = []
    for spec in recipe.specs:
        remedy = REMEDIES[spec.name]
        if remedy.kind in _ACT or spec.name in LOSSES:
            continue
        why = {
            "decision": "acts on the decision between classes, and these rows are written",
            "loss": "is a loss over classes, and these rows are written token by token",
        }.get(remedy.moment, "trains a classifier's head, and these rows are written")
        faults.append(
            f"remedy {remedy_text(spec)}: {why}; take one that acts on rows, batches or weights by "
            "category, such as sqrt_sampler or class_weights, or focal"
        )
    return faults


def _twice_faults(recipe: Recipe) -> list[str]:
    """Categories that count the same whatever their rows weigh leave nothing to weights, and are
    over-represented by a sampler."""
    if recipe.write.weigh != "category":
        return []
    return [
        f"remedy {remedy_text(spec)}: write.weigh=category lets every category count the same "
        f"already, so it {_undone(spec)}; drop it, or take write.weigh=token or row"
        for spec in recipe.specs
        if spec.name == PRICED
        or (REMEDIES[spec.name].may_double and REMEDIES[spec.name].kind in _ACT)
    ]


def _undone(spec: RemedySpec) -> str:
    return "would have no effect" if spec.name == PRICED else "corrects the same shares twice"


def _cost_faults(recipe: Recipe, categories: tuple[str, ...]) -> list[str]:
    """What costs say beyond a price per category: a text is no decision that could be the wrong
    one of several."""
    stated = recipe.stated_costs
    if stated is None:
        return []
    faults = []
    if stated.named or stated.deferral is not None or stated.column is not None:
        faults.append(
            "costs: pairs of classes, rows left to a person and amounts are for decisions, and "
            "these rows are written; say under `missed`, in numbers, what a bad text of each "
            "category costs"
        )
    if all(spec.name != PRICED for spec in recipe.specs):
        faults.append(
            f"costs: decide between classes, and these rows are written; add --remedy {PRICED}, by "
            "which each category weighs what it costs, or drop them"
        )
    return faults + (stated.faults(categories) if categories else [])


def _setting_faults(recipe: Recipe) -> list[str]:
    faults = []
    if recipe.prior != "train":
        faults.append(
            "prior: is for decisions between classes, and these rows are written; drop it"
        )
    if recipe.model.head != "auto":
        faults.append(
            f"model.head: {recipe.model.head} is a classifier's, and these rows are written by the "
            "base's own; leave it out"
        )
    classifiers = [name for name in recipe.baselines or () if name != "plain"]
    if classifiers:
        faults.append(
            f"baselines: {', '.join(classifiers)} can't write; only plain can be had for these rows"
        )
    keep = recipe.write.keep
    try:
        check_interpolates(recipe.model, keep.interpolate)
    except ModelError as error:
        faults += error.faults
    return faults


def prepare_written(splits: Splits, recipe: Recipe, base: Base, seed: int) -> Prepared:
    """Number the categories and tokenize every split. Raises DataError and ModelError as
    `sequences`."""
    named = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    present = {name: rows for name, rows in named.items() if rows is not None}
    categories = tuple(splits.train.counts())
    base = replace(base, thinks=hold_thoughts(_turns(splits.train), base))
    return Prepared(
        recipe=recipe,
        splits=splits,
        classes=categories,
        base=base,
        tokens={
            name: sequences(_turns(rows), base, too_long=recipe.write.too_long)
            for name, rows in present.items()
        },
        labels={name: _numbers(rows, categories) for name, rows in present.items()},
        seed=seed,
    )


def _turns(rows: Rows) -> NDArray[np.object_]:
    assert rows.turns is not None
    return rows.turns


def _numbers(rows: Rows, categories: tuple[str, ...]) -> NDArray[np.int64]:
    """-1 for a category that training lacks."""
    assert rows.labels is not None
    place = {name: k for k, name in enumerate(categories)}
    return np.array([place.get(label, -1) for label in rows.labels], dtype=np.int64)
