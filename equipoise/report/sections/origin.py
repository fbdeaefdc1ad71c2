"""Where the figures come from, and how to get them again."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

import yaml

from equipoise.report.read import AnyRun
from equipoise.report.words import short

RECIPE = 20_000
"""Characters of the recipe shown; the file beside the report holds all."""


@dataclass(frozen=True)
class OriginSection:
    facts: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    versions: tuple[tuple[str, str], ...]
    command: str
    recipe: str


def origin_section(run: AnyRun) -> OriginSection:
    m = run.manifest
    recipe = run.recipe_text or yaml.safe_dump(m.recipe, sort_keys=False, allow_unicode=True)
    return OriginSection(
        facts=(
            ("Run", m.id),
            ("Recipe", m.recipe_id),
            ("Seed", str(m.seed)),
            ("Made (UTC)", m.created),
            ("Rows", m.rows.source),
            ("Rows, SHA-256", m.rows.fingerprint),
            ("Base model, SHA-256", m.model.fingerprint),
        ),
        notes=tuple(dict.fromkeys([*m.notes, *run.scores.notes])),
        versions=tuple(m.versions.items()),
        command=_command(run),
        recipe=short(recipe, RECIPE),
    )


def _command(run: AnyRun) -> str:
    """The command line that repeats the run: the saved recipe holds every choice but rows and
    seed."""
    m = run.manifest
    words = ["equipoise", "train", m.rows.source]
    for role, names in m.rows.columns.items():
        if (role, names) not in (("text", "text"), ("label", "label")):
            for name in names.split(", ") if role == "group" else [names]:
                words += [f"--{role.replace('_', '-')}", name]
    if m.writes and "text" in m.rows.columns:
        words += ["--task", "write"]
    name = run.folder.resolve().name
    words += ["--recipe", f"{name}/recipe.yaml", "--seed", str(m.seed), "--out", f"{name}-again"]
    return shlex.join(words)
