"""Read what remedies are asked for: `NAME[:key=value,...]`, or a name with a dict of settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, get_args

import numpy as np
from pydantic import ConfigDict, TypeAdapter, ValidationError

from equipoise.errors import SettingsError
from equipoise.remedies.conflicts import conflicts
from equipoise.remedies.remedy import Remedy, RemedySpec, Setting
from equipoise.remedies.table import REMEDIES

_MOST_LISTED = 20
"""More names than this are not read in an error line."""

TWICE = "twice"
"""The setting of every remedy that may double: "I know that another one corrects this prior"."""


def parse_remedy(text: str) -> RemedySpec:
    """Read `focal`, `focal:gamma=2` or `class_weights:kind=effective,beta=0.99`.

    >>> parse_remedy("focal:gamma=1").settings
    {'gamma': 1.0}

    Raises SettingsError with every fault: unknown name (with near matches), unknown, ill-typed or
    out-of-range settings.
    """
    name, colon, rest = text.strip().partition(":")
    faults: list[str] = []
    settings: dict[str, Any] = {}
    for part in rest.split(",") if colon else []:
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not (key and equals and value):
            faults.append(f"remedy {text!r}: {part!r} is not of the form key=value")
        elif key in settings:
            faults.append(f"remedy {text!r}: {key} is given twice; keep one")
        else:
            settings[key] = value
    return _checked(name.strip(), settings, faults)


def remedy_spec(name: str, settings: Mapping[str, Any] | None = None) -> RemedySpec:
    """From a name and settings already of their types (a recipe file, Python), or as text.

    Raises as `parse_remedy` does.
    """
    return _checked(name, dict(settings or {}), [])


def parse_remedies(
    asked: Iterable[str | RemedySpec | Mapping[str, Any]],
) -> tuple[RemedySpec, ...]:
    """Read all, then refuse those that can't stand together.

    Each is a text, a spec, or a mapping {"name": ..., "setting": ...} as a recipe file holds it.
    Raises SettingsError with the faults of all of them at once.
    """
    specs: list[RemedySpec] = []
    faults: list[str] = []
    for item in asked:
        try:
            specs.append(_read(item))
        except SettingsError as error:
            faults += error.faults
    faults += conflicts(specs)
    if faults:
        raise SettingsError(*faults)
    return tuple(specs)


def remedy_text(spec: RemedySpec) -> str:
    """The shortest text that `parse_remedy` reads back as `spec`: defaults are left out."""
    defaults = {setting.name: setting.default for setting in REMEDIES[spec.name].settings}
    parts = [f"{k}={v}" for k, v in sorted(spec.settings.items()) if v != defaults[k]]
    if spec.twice:
        parts.append(f"{TWICE}=true")
    return ":".join([spec.name, ",".join(parts)]) if parts else spec.name


def _read(item: str | RemedySpec | Mapping[str, Any]) -> RemedySpec:
    if isinstance(item, str):
        return parse_remedy(item)
    if isinstance(item, RemedySpec):
        return remedy_spec(item.name, item.settings | ({TWICE: True} if item.twice else {}))
    if not isinstance(item, Mapping) or not isinstance(item.get("name"), str):
        raise SettingsError(
            f"remedy {item!r}: expected NAME[:key=value,...], or a mapping with name"
        )
    return remedy_spec(item["name"], {key: item[key] for key in item if key != "name"})


def _checked(name: str, given: dict[str, Any], faults: list[str]) -> RemedySpec:
    if name not in REMEDIES:
        raise SettingsError(_unknown("remedy", name, REMEDIES, "known are"), *faults)
    remedy = REMEDIES[name]
    twice = False
    if remedy.may_double and TWICE in given:
        try:
            twice = _typed(Setting(TWICE, bool, False), given.pop(TWICE))
        except ValidationError as error:
            faults.append(f"remedy {name}: {TWICE}: {_reason(error)}")
    settings: dict[str, Any] = {}
    for setting in remedy.settings:
        value = given.pop(setting.name, setting.default)
        try:
            settings[setting.name] = _typed(setting, value)
        except ValidationError as error:
            faults.append(f"remedy {name}: {setting.name} is {value!r}: {_reason(error)}")
    names = [s.name for s in remedy.settings] + ([TWICE] if remedy.may_double else [])
    for key in given:
        faults.append(f"remedy {name}: " + _unknown("setting", str(key), names, "it takes"))
    if faults:
        raise SettingsError(*faults)
    return RemedySpec(name, settings, twice)


def _typed(setting: Setting, value: Any) -> Any:
    """The value as its type. Text is read as a number or word; other types are not bent, and
    numpy's numbers are those they hold."""
    if isinstance(value, np.generic):
        value = value.item()
    adapter: TypeAdapter[Any] = TypeAdapter(setting.type, config=ConfigDict(allow_inf_nan=False))
    if isinstance(value, str):
        choices = get_args(setting.type)
        if value.lower() in ("none", "null") and type(None) in choices:
            return None
        # Of a list of numbers pydantic knows no text.
        listed = {str(choice): choice for choice in choices if isinstance(choice, int)}
        if value in listed:
            return listed[value]
        return adapter.validate_strings(value)
    return adapter.validate_python(value, strict=True)


def _reason(error: ValidationError) -> str:
    return "; ".join(dict.fromkeys(fault["msg"] for fault in error.errors())).lower()


def _unknown(what: str, name: str, known: Iterable[str] | Mapping[str, Remedy], lead: str) -> str:
    names = list(known)
    near = get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    listed = ", ".join(sorted(names)) if names else "no settings"
    if len(names) > _MOST_LISTED:
        listed = f"{len(names)} of them, which `equipoise remedies` lists"
    return f"unknown {what} {name!r}; {hint}{lead}: {listed}"
