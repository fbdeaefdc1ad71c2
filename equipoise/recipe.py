"""What a run does: base model, tuning, optimisation, remedies, and what decides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from equipoise.costs import Costs, costs_from
from equipoise.data.table import ColumnNames
from equipoise.defaults import COST_REMEDIES, default_remedies
from equipoise.errors import SettingsError
from equipoise.models.config import ModelConfig, TrainConfig
from equipoise.models.writing.config import KeepConfig, WriteConfig
from equipoise.records.files import text_sha256, write_text
from equipoise.records.yaml_files import read_mapping

if TYPE_CHECKING:
    from equipoise.remedies.remedy import RemedySpec

BASELINES = ("tfidf", "vectors", "plain")

Share = Annotated[float, Field(gt=0, lt=1)]


class SplitConfig(BaseModel):
    """How rows are divided when the source does not say."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )

    validation_share: Share = 0.15
    """Share of the rows held out to choose with."""
    test_share: float = Field(default=0.15, ge=0, lt=1)
    """Share of the rows held out to judge with, when one file holds everything; 0: none are, and
    the run is judged on the rows that it also chose with."""
    keep_crossing: bool = False
    """Keep training rows whose duplicates stand in a given validation or test file, or, with a time
    column, that are as late as its rows."""
    threshold: float = Field(default=0.8, gt=0, le=1)
    """Similarity from which two texts count as look-alikes and stay together; 1: only equal ones
    do."""


class Recipe(BaseModel):
    """One recipe; its hash is its identity."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )

    model: ModelConfig = ModelConfig()
    """Which base model, and which part of it is trained."""
    train: TrainConfig = TrainConfig()
    """How it is trained."""
    write: WriteConfig = WriteConfig()
    """How rows whose target is text are fed and judged."""
    remedies: tuple[str, ...] | None = None
    """Treatments of imbalance, as NAME[:key=value,...] or a mapping with name and settings, which
    is kept as that text; None: the default for the rows and the measure (`equipoise.defaults`)."""
    measure: str = "macro_f1"
    """What decides between decision rules and arms; expected_cost when costs are given."""
    prior: Literal["train", "balanced"] | dict[str, float] = "train"
    """Class shares that probabilities are given for."""
    costs: dict[str, Any] | None = None
    """Cost per (true, decided), as in a cost file."""
    split: SplitConfig = SplitConfig()
    """How rows are divided."""
    baselines: tuple[Literal["tfidf", "vectors", "plain"], ...] | None = None
    """What the run is compared with; None: all three where the states are cached anyway, else
    TF-IDF, and plain where all remedies act on the decision and no second training is needed."""
    keep_texts: bool = True
    """Keep the judged rows' texts in the run folder, for the report, and quote texts in warnings.
    Of a run that writes, `written.parquet` holds what was asked, written and right all the same:
    measures, comparisons and `equipoise judge` read it; the report alone then shows no texts."""

    @field_validator("remedies", mode="before")
    @classmethod
    def _remedies_as_text(cls, remedies: Any) -> Any:
        """Text stays as it is written, for the recipe's id is made of it."""
        listed = remedies if isinstance(remedies, list | tuple) else ()
        if not any(isinstance(remedy, Mapping) for remedy in listed):
            return remedies
        from equipoise.remedies.spec import parse_remedies, remedy_text  # as below

        try:
            read = zip(listed, parse_remedies(listed), strict=True)
        except SettingsError as error:
            raise ValueError("\n".join(error.faults)) from None
        return tuple(said if isinstance(said, str) else remedy_text(spec) for said, spec in read)

    @field_validator("remedies")
    @classmethod
    def _remedies_read(cls, remedies: tuple[str, ...] | None) -> tuple[str, ...] | None:
        # The table of remedies brings torch, for seconds: a fault elsewhere is answered sooner.
        from equipoise.remedies.spec import parse_remedies

        try:
            parse_remedies(remedies or ())
        except SettingsError as error:
            raise ValueError("\n".join(error.faults)) from None
        return remedies

    @field_validator("prior")
    @classmethod
    def _prior_read(cls, prior: Any) -> Any:
        if isinstance(prior, dict) and any(not share > 0 for share in prior.values()):
            raise ValueError("prior: every class's share must be above 0")
        return prior

    @field_validator("measure")
    @classmethod
    def _measure_read(cls, measure: str) -> str:
        """Measures of one class in their shortest form, so that spaces are no other recipe.

        Raises ValueError unless all who decide by the measure know it, with one label a row or with
        several; which of the two the rows have is checked with them.
        """
        from equipoise.evaluate.compare import MEASURES
        from equipoise.evaluate.deciding import KINDS, OWN, is_deciding, parse_measure
        from equipoise.evaluate.several.compare import LABEL_MEASURES

        every = tuple(dict.fromkeys((*MEASURES, *LABEL_MEASURES)))
        if not is_deciding(measure) and measure not in every:
            near = [name for name in every if measure in name]
            near = near or get_close_matches(measure, every, n=3, cutoff=0.6)
            hint = f"did you mean {' or '.join(near[:3])}? " if measure and near else ""
            raise ValueError(
                f"measure: {measure!r} is not known; {hint}known are {', '.join(every)}, and "
                f"{', '.join(KINDS)} with a class and a number (docs/evaluate.md)"
            )
        if not is_deciding(measure) or measure.startswith(f"{OWN}:"):
            return measure
        try:
            return parse_measure(measure).text
        except SettingsError as error:
            raise ValueError("\n".join(error.faults)) from None

    @field_validator("costs")
    @classmethod
    def _costs_read(cls, costs: dict[str, Any] | None) -> dict[str, Any] | None:
        if costs is not None:
            try:
                costs_from(costs)
            except SettingsError as error:
                raise ValueError("\n".join(error.faults)) from None
        return costs

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        from equipoise.remedies.table import needs  # as below

        wants_costs = any(spec.name == "costs" for spec in self.specs)
        priced_by = [s.name for s in self.specs if needs(s, "costs") or needs(s, "row_costs")]
        if priced_by and self.costs is None:
            raise ValueError(f"remedy {priced_by[0]}: no costs are given; add --costs FILE")
        by_cost = any(s.name == "deferral" and s.settings["by"] == "cost" for s in self.specs)
        priced = self.stated_costs is not None and self.stated_costs.deferral is not None
        if by_cost and not (wants_costs and priced):
            raise ValueError(
                "remedy deferral: by=cost needs the remedy costs beside it, and the cost file to "
                "say what a person costs (`defer: {cost: ...}`); coverage=0.9 needs neither"
            )
        if not self.fits_offsets and any(needs(spec, "measure") for spec in self.specs):
            raise ValueError(
                f"measure: offsets can't be fitted for {self.measure}, only for "
                f"{', '.join(_fitted_measures())}; give one of these, or --remedy temperature alone"
            )
        return self

    def columns(self, named: ColumnNames) -> ColumnNames:
        """`with_cost_column` for the recipe's costs."""
        return with_cost_column(self.stated_costs, named)

    @property
    def fits_offsets(self) -> bool:
        """Whether offsets can be fitted for the measure."""
        from equipoise.evaluate.deciding import OWN

        return self.measure.partition(":")[0] in (*_fitted_measures(), OWN)

    def resolved(self, *, several: bool = False, writes: bool = False) -> Recipe:
        """With the window and the default remedies for such rows, where none are named."""
        window = {"max_tokens": self.model.window(writes=writes)}
        found: dict[str, Any] = {"model": self.model.model_copy(update=window)}
        if self.remedies is None:
            found["remedies"] = default_remedies(
                self.measure, fits_offsets=self.fits_offsets, several=several, writes=writes
            ).remedies
        return self.model_copy(update=found)

    def in_order(self, number: int) -> Recipe:
        """The same in another data order; baselines are compared with the first alone."""
        train = self.train.model_copy(update={"order": number})
        found: dict[str, Any] = {"train": train}
        return self.model_copy(update=found | ({"baselines": ()} if number else {}))

    @property
    def holds(self) -> bool:
        """Whether anything holds on to what the base can do (write.keep, train.l2_sp)."""
        return self.without_holds() != self

    def without_holds(self) -> Recipe:
        """General texts are still looked at, which changes no weight."""
        keep = KeepConfig(general=self.write.keep.general)
        write = self.write.model_copy(update={"keep": keep})
        train = self.train.model_copy(update={"l2_sp": 0.0})
        return self.model_copy(update={"write": write, "train": train})

    @property
    def specs(self) -> tuple[RemedySpec, ...]:
        from equipoise.remedies.spec import parse_remedies  # as above

        return parse_remedies(self.remedies or ())

    @property
    def group_column(self) -> str | None:
        """The column by whose groups `per_group_thresholds` decides: empty for the rows' group
        columns, None without that remedy."""
        named = [s.settings["column"] for s in self.specs if s.name == "per_group_thresholds"]
        return str(named[0]) if named else None

    @property
    def stated_costs(self) -> Costs | None:
        return None if self.costs is None else costs_from(self.costs)

    @property
    def id(self) -> str:
        return text_sha256(self.model_dump_json())[:12]


def with_cost_column(costs: Costs | None, named: ColumnNames) -> ColumnNames:
    """With the column that costs are times of, as the costs call it unless it is named.

    Raises SettingsError if such a column is named and no cost is times one.
    """
    column = None if costs is None else costs.column
    if column is None and named.cost is not None:
        raise SettingsError(
            f"--cost {named.cost}: no cost is times a column; say so in the file of --costs, "
            "as `fraud: {legitimate: {times: amount}}`, or leave --cost out"
        )
    return replace(named, cost=named.cost or column)


def _fitted_measures() -> tuple[str, ...]:
    """Measures, and kinds of measures of one class, that offsets can be fitted for."""
    from equipoise.evaluate.deciding import KINDS
    from equipoise.remedies.decisions.label_values import LABEL_VALUES
    from equipoise.remedies.decisions.values import VALUES

    kinds = (kind for kind in KINDS if kind != "precision_at_prevalence")
    return tuple(dict.fromkeys((*VALUES, *LABEL_VALUES, *kinds)))


def make_recipe(settings: dict[str, Any]) -> Recipe:
    """Raises SettingsError naming every faulty setting at once."""
    if settings.get("costs") is not None and settings.get("remedies") is None:
        settings = settings | {"remedies": COST_REMEDIES}
    try:
        return Recipe.model_validate(settings)
    except ValidationError as error:
        raise SettingsError(*_lines(error)) from None


def _lines(error: ValidationError) -> list[str]:
    """Pydantic's faults, a line per setting: where, what was found, and what would be right."""
    lines: list[str] = []
    wanted: dict[tuple[str, str], list[str]] = {}
    for fault in error.errors():
        # A value that may be of several types has a fault for each, which the place names.
        where = ".".join(str(part) for part in fault["loc"] if not _names_type(part))
        if fault["type"] == "extra_forbidden":
            lines.append(_unknown(fault["loc"]))
        elif fault["type"] == "value_error":
            own = str(fault["msg"]).removeprefix("Value error, ").splitlines()
            named = (where, "remed")
            lines += [f"{where}: {x}" if where and not x.startswith(named) else x for x in own]
        else:
            found = f"{fault['input']!r:.60}"
            wanted.setdefault((where, found), []).append(_right(str(fault["msg"])))
    lines += [
        f"{where} is {found}; it should be {' or '.join(dict.fromkeys(ways))}"
        for (where, found), ways in wanted.items()
    ]
    return list(dict.fromkeys(lines))


def _right(said: str) -> str:
    """ "a number above 0" out of "Input should be greater than 0"."""
    said = said.removeprefix("Input should be ").split(", unable to ")[0]
    said = said.removeprefix("a valid ").split(" or instance of ")[0]
    for theirs, ours in _WORDS.items():
        said = said.replace(theirs, ours)
    return "a number" if said == "number" else said


_WORDS = {
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
    "greater than": "above",
    "less than": "below",
    "String should have at least 1 character": "a name",
    "boolean": "true or false",
    "integer": "a whole number",
    "tuple": "a list",
    "dictionary": "names with values (name: value)",
    "string": "text",
}
"""Pydantic's words for types and bounds, in those of the people who write recipes."""


def _names_type(part: int | str) -> bool:
    return isinstance(part, str) and part.endswith("]")


def _unknown(place: tuple[int | str, ...]) -> str:
    """The settings that stand where an unknown one was found, the nearest first; and those of the
    same name that stand elsewhere."""
    known: Any = Recipe
    for part in place[:-1]:
        known = known.model_fields[part].annotation
    names, given = list(known.model_fields), str(place[-1])
    elsewhere = [path for path in _every_setting(Recipe) if path.endswith(f".{given}")]
    near = elsewhere or get_close_matches(given, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    where = ".".join(map(str, place))
    return f"{where}: unknown setting; {hint}known are {', '.join(names)}"


def _every_setting(model: type[BaseModel], group: str = "") -> Iterator[str]:
    """By its whole name, as `train.epochs`."""
    for name, field in model.model_fields.items():
        yield f"{group}{name}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _every_setting(field.annotation, f"{group}{name}.")


def read_recipe(path: Path) -> dict[str, Any]:
    """The settings in a recipe file, unchecked. Raises SettingsError if it is not a mapping."""
    return read_mapping(path, "recipe file")


def write_recipe(path: Path, recipe: Recipe) -> None:
    write_text(path, yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False))
