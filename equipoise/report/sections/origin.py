"""Where the figures come from, and how to get them again."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

import yaml

from equipoise.report.read import RunFolder
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


def origin_section(run: RunFolder) -> OriginSection:
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


def _command(run: RunFolder) -> str:
    """The command line of the choices that have a flag; the recipe holds all others."""
    m = run.manifest
    words = ["equipoise", "train", m.rows.source]
    for role, column in m.rows.columns.items():
        if role != column:
            words += [f"--{role}", column]
    words += ["--model", m.model.name, "--method", m.model.method]
    asked = m.recipe.get("remedies")
    for remedy in asked if isinstance(asked, list) else [r.name for r in m.remedies]:
        words += ["--remedy", str(remedy)]
    return shlex.join([*words, "--seed", str(m.seed), "--out", run.folder.name])
