"""Options of the command line to the settings of a recipe."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from equipoise.costs import read_costs
from equipoise.data.table import ColumnNames
from equipoise.errors import SettingsError
from equipoise.recipe import Recipe, read_recipe
from equipoise.records.run import Manifest, read_manifest
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
) -> dict[str, Any]:
    """The recipe file, overridden by the options, overridden by `--set` assignments.

    Raises SettingsError with the faults of all of them at once.
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
        ("costs", None if costs is None else _tried(lambda: read_costs(costs).to_json(), faults)),
        ("prior", None if prior is None else _tried(lambda: _prior(prior), faults)),
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
        raise SettingsError(*faults)
    return settings


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


def columns_of_run(
    run: Path, columns: ColumnNames, to: Literal["decide", "judge"] = "judge"
) -> ColumnNames:
    """With the column of amounts, if the run's costs are times one, under the name that it had in
    training, and with what divided labels there, unless they are named."""
    manifest = read_manifest(run)
    recipe = Recipe.model_validate(manifest.recipe)
    decides = any(spec.name == "costs" for spec in recipe.specs)
    trained = manifest.rows.columns.get("cost") if to == "judge" or decides else None
    if columns.cost is not None:
        recipe.columns(columns)  # refuses a column that no cost is times of
    divided = manifest.rows.columns.get("label_separator") if to == "judge" else None
    separator = columns.label_separator or divided
    return replace(columns, cost=columns.cost or trained, label_separator=separator)


def written_columns_of_run(run: Path, manifest: Manifest, columns: ColumnNames) -> ColumnNames:
    """Of a run that writes: what is asked, what is right and the category under the names that they
    had in training, unless others are named.

    Raises SettingsError if columns are named that only rows to be classified have.
    """
    faults = [
        f"--{option}: is for runs that classify, and {run} writes text; name what is asked with "
        "--prompt or --messages"
        for option, given in (
            ("label", columns.label != "label"),
            ("label-separator", columns.label_separator is not None),
            ("cost", columns.cost is not None),
        )
        if given
    ]
    if faults:
        raise SettingsError(*faults)
    named, trained = columns.written(), manifest.rows.columns
    forms = ({"prompt", "completion"}, {"messages"}, {"text"})
    plain = {"text"} if columns.text != "text" else set()
    asked = [form for form in forms if form & (set(named) | plain)] or list(forms)
    roles = {"category", *(role for form in asked for role in form)} - set(named) - plain
    inherited: dict[str, Any] = {role: trained[role] for role in roles if role in trained}
    return replace(columns, **inherited)
