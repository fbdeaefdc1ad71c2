"""Options of the command line to the settings of a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from equipoise.costs import Classes, read_costs
from equipoise.data.roles import Task
from equipoise.data.table import IN_MEMORY, ColumnNames
from equipoise.errors import EquipoiseError, SettingsError
from equipoise.recipe import Recipe, make_recipe, read_recipe
from equipoise.records.run import Manifest
from equipoise.records.yaml_files import parse_value, read_mapping

NONE = "none"
"""`--remedy none` and `--baseline none` ask for no remedy, no baseline."""


def train_settings(
    *,
    recipe: Path | None,
    model: str | None,
    method: str | None,
    head: str | None,
    remedies: list[str],
    costs: Path | None,
    prior: str | None,
    measure: str | None,
    epochs: int | None,
    baselines: list[str],
    track: list[str],
    assignments: list[str],
    classes: Classes | None = None,
) -> dict[str, Any]:
    """The recipe file, overridden by the options, overridden by `--set` assignments.

    classes   Of the rows, by which faulty costs are looked at as a whole.

    Raises SettingsError with the faults of all of them at once, and those that the settings have as
    a recipe.
    """
    faults: list[str] = []
    settings: dict[str, Any] = {}
    if recipe is not None:
        settings = _tried(lambda: read_recipe(recipe), faults) or {}
    for place, value in (
        ("model.name", model),
        ("model.method", method),
        ("model.head", head),
        ("train.epochs", epochs),
        ("train.track", track or None),
        ("measure", measure),
        ("remedies", _listed(remedies)),
        ("baselines", _listed(baselines)),
        # What can't be read stands as nothing special, so that the rest can be looked at.
        ("costs", costs and (_tried(lambda: read_costs(costs, classes).to_json(), faults) or {})),
        ("prior", prior and (_tried(lambda: _prior(prior), faults) or "train")),
    ):
        if value is not None:
            put(settings, place, value, faults)
    for assignment in assignments:
        place, equals, text = assignment.partition("=")
        if not equals or not place:
            faults.append(f"--set {assignment}: expected name=value, as train.batch_rows=64")
            continue
        try:
            put(settings, place, parse_value(text), faults)
        except SettingsError as error:
            faults.append(f"--set {assignment}: {error}")
    if faults:
        raise SettingsError(*faults, *_recipe_faults(settings))
    return settings


def _recipe_faults(settings: dict[str, Any]) -> tuple[str, ...]:
    try:
        make_recipe(settings)
    except SettingsError as error:
        return error.faults
    return ()


def classes_in(
    rows: str, columns: ColumnNames, encoding: str | None, task: Task = "auto"
) -> tuple[str, ...]:
    """Those of the training rows; () where rows have none, or several each, or can't be read."""
    from equipoise.data.read import read_rows

    try:
        train = read_rows(rows, columns=columns, encoding=encoding, task=task).train
    except EquipoiseError:
        return ()
    if train is None or train.labels is None or train.several or train.written:
        return ()
    return tuple(sorted({label for label in train.labels.tolist() if label}))


def _listed(names: list[str]) -> list[str] | None:
    if not names:
        return None
    return [] if names == [NONE] else names


def _prior(given: str) -> Any:
    if given in ("train", "balanced"):
        return given
    if not Path(given).exists():
        raise SettingsError(
            f"--prior {given}: no such file; give train, balanced, or a YAML file of class shares"
        )
    record = read_mapping(Path(given), "file of class shares")
    faults = [
        f"{given}: class {name!r} has share {share!r}; expected a number above 0"
        for name, share in record.items()
        if isinstance(share, bool) or not isinstance(share, int | float) or not share > 0
    ]
    if faults:
        raise SettingsError(*faults)
    return {str(name): float(share) for name, share in record.items()}


def put(settings: dict[str, Any], place: str, value: Any, faults: list[str]) -> None:
    *path, last = place.split(".")
    here = settings
    for name in path:
        here = here.setdefault(name, {})
        if not isinstance(here, dict):
            faults.append(f"{place}: {name} is not a group of settings")
            return
    here[last] = value


def _tried(read: Any, faults: list[str]) -> Any:
    try:
        return read()
    except SettingsError as error:
        faults += error.faults
        return None


_TAKEN = {"judge": ("text", "label", "label_separator", "cost"), "decide": ("text", "cost")}
_IF_THERE = ("id", "group")
"""What new rows may well lack though the run's had it: ids, groups of rows that belong together.
A run that decides by groups tells itself where it can't do without (`LoadedRun.groups_of`)."""


def columns_of_run(
    run: Path, manifest: Manifest, asked: Mapping[str, Any], to: Literal["decide", "judge"]
) -> tuple[ColumnNames, tuple[str, ...]]:
    """The columns of a run that classifies: as asked, by role, else under the names that they had
    when the run was made; and the roles among the latter that rows may lack.

    Raises SettingsError if a column of amounts is named that no cost is times of, one of groups to
    decide by that the run does not decide by, or one that only rows to be written have.
    """
    faults = [
        f"--{role} {asked[role]}: is for runs that write, and {run} classifies rows; name their "
        "text with --text"
        for role in ("prompt", "completion", "messages", "category", "references")
        if role in asked
    ]
    if faults:
        raise SettingsError(*faults)
    recipe = Recipe.model_validate(manifest.recipe)
    if "cost" in asked:
        recipe.columns(ColumnNames(cost=asked["cost"]))
    trained: dict[str, Any] = dict(manifest.rows.columns)
    if to == "decide":
        if "group" in asked:
            _check_decides_by_group(run, recipe, asked["group"])
        if recipe.group_column != "":
            trained.pop("group", None)  # they would only be judged by, as amounts
        if not any(spec.name == "costs" for spec in recipe.specs):
            trained.pop("cost", None)
    if manifest.rows.source == IN_MEMORY:
        trained = {role: name for role, name in trained.items() if role == "cost"}
    roles = [role for role in (*_TAKEN[to], *_IF_THERE) if role in trained]
    inherited = {role: trained[role] for role in roles if role not in asked}
    spare = tuple(role for role in _IF_THERE if role in inherited)
    return ColumnNames(**{**inherited, **asked}), spare


def _check_decides_by_group(run: Path, recipe: Recipe, asked: tuple[str, ...]) -> None:
    column = recipe.group_column
    if column == "" or asked == (column,):
        return
    by = "decides the rows of all groups alike"
    if column is not None:
        by = f"decides by the column {column!r}, as per_group_thresholds names it"
    raise SettingsError(f"--group {' --group '.join(asked)}: {run} {by}; leave --group out")


def written_columns_of_run(
    run: Path, manifest: Manifest, asked: Mapping[str, Any], to: Literal["decide", "judge"]
) -> tuple[ColumnNames, tuple[str, ...]]:
    """Of a run that writes: what is asked, what is right and the category under the names that they
    had in training, unless others are named; and the roles among these that rows may lack.

    Raises SettingsError if columns are named that only rows to be classified have, or groups to
    write by.
    """
    foreign = ("label", "label_separator", "cost", *(("group",) if to == "decide" else ()))
    faults = [
        f"--{role.replace('_', '-')}: is for runs that classify, and {run} writes text; name what "
        "is asked with --prompt or --messages"
        for role in foreign
        if role in asked
    ]
    if faults:
        raise SettingsError(*faults)
    forms = ({"prompt", "completion"}, {"messages"}, {"text"})
    form = [form for form in forms if form & set(asked)] or list(forms)
    roles = {"category", "references", *(role for names in form for role in names)} - set(asked)
    trained = manifest.rows.columns
    inherited: dict[str, Any] = {role: trained[role] for role in roles if role in trained}
    spare = ("references",) if "references" in inherited else ()
    return ColumnNames(**{**inherited, **asked}), spare
