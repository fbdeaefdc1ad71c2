"""What every arm of a run starts from: rows divided, classes numbered, texts tokenized."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from equipoise.costs import CostTable
from equipoise.evaluate.deciding import DecidingMeasure
from equipoise.fitting.measure import measure_of
from equipoise.models.label_prompt import reader
from equipoise.models.load import Base
from equipoise.models.tokenize import Tokens
from equipoise.recipe import Recipe
from equipoise.records.rows import Rows, Splits, indicators


@dataclass(frozen=True, eq=False)
class Prepared:
    """Everything that the arms of one run share."""

    recipe: Recipe
    splits: Splits
    classes: tuple[str, ...]
    """Sorted names of the classes in training."""
    base: Base
    tokens: dict[str, Tokens]
    """By split: train, validation and, where there is one, test."""
    labels: dict[str, NDArray[np.int64]]
    """By split: class numbers, -1 for a class that training lacks. Where a row may have several
    labels (n, K): 1 for each label that it has, those that training lacks left out."""
    seed: int
    own: DecidingMeasure | None = None
    """The measure, where it is a function of the user's."""

    @cached_property
    def measure(self) -> str | DecidingMeasure:
        """What the decision is fitted for."""
        return measure_of(self.recipe, self.own)

    @cached_property
    def costs(self) -> CostTable | None:
        """What decisions cost, over the classes of training; None where nothing was said.

        Raises SettingsError if the costs can't be meant for these rows.
        """
        stated = self.recipe.stated_costs
        if stated is None:
            return None
        return stated.table(self.classes, self.splits.train.amounts)

    @property
    def several(self) -> bool:
        """Whether a row may have several labels, or none."""
        return self.splits.train.several

    @property
    def judged(self) -> str:
        return "test" if self.splits.test is not None else "validation"

    def order_rng(self, stream: int) -> np.random.Generator:
        """The generator of one of the seed's streams that lay down the order of rows: another in
        every data order, and order 0's where only steps change places."""
        train = self.recipe.train
        own = [train.order] if train.order and train.order_of == "rows" else []
        return np.random.default_rng([self.seed, stream, *own])

    def rows(self, split: str) -> Rows:
        rows = getattr(self.splits, split)
        assert isinstance(rows, Rows)
        return rows

    def weights(self, split: str) -> NDArray[np.float64]:
        """(n,) what the user says that each row counts in training, 1 on the mean."""
        given = self.rows(split).weights
        if given is None:
            return np.ones(len(self.rows(split)))
        return np.asarray(given / given.mean(), dtype=np.float64)


def prepare(
    splits: Splits, recipe: Recipe, base: Base, seed: int, own: DecidingMeasure | None = None
) -> Prepared:
    """Number the classes and tokenize every split."""
    assert splits.train.labels is not None
    classes = tuple(splits.train.counts())
    named = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    present = {name: rows for name, rows in named.items() if rows is not None}
    read = reader(base.tokenizer, recipe.model, classes, base.max_tokens)
    return Prepared(
        recipe=recipe,
        splits=splits,
        classes=classes,
        base=base,
        tokens={name: read(rows.texts) for name, rows in present.items()},
        labels={name: _numbers(rows, classes) for name, rows in present.items()},
        seed=seed,
        own=own,
    )


def _numbers(rows: Rows, classes: tuple[str, ...]) -> NDArray[np.int64]:
    assert rows.labels is not None
    if rows.several:
        return indicators(rows.labels, classes)
    place = {name: k for k, name in enumerate(classes)}
    return np.array([place.get(label, -1) for label in rows.labels], dtype=np.int64)
