"""Where the figures come from, and how to get them again."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

import yaml

from equipoise.records.columns import named_columns
from equipoise.report.read import AnyRun
from equipoise.report.words import short

RECIPE = 20_000
"""Characters of the recipe shown; the file beside the report holds all."""
LEVELS = 4
"""Folders above the run in which the rows are sought: further up, a file of their name is another,
and the page would tell how the reader's disk is laid out."""


@dataclass(frozen=True)
class OriginSection:
    facts: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    versions: tuple[tuple[str, str], ...]
    command: str
    where: str
    """From which folder, and what else to know."""
    recipe: str


def origin_section(run: AnyRun) -> OriginSection:
    m = run.manifest
    command, where = _command(run)
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
        command=command,
        where=where,
        recipe=short(recipe, RECIPE),
    )


def _command(run: AnyRun) -> tuple[str, str]:
    """The command line that repeats the run, and where to give it: the saved recipe holds every
    choice but rows and seed."""
    m = run.manifest
    here, where, known = _start(run)
    words = ["equipoise", "train", m.rows.source]
    for role, name in named_columns(m.rows.columns):
        if (role, name) not in (("text", "text"), ("label", "label")):
            words += [f"--{role.replace('_', '-')}", name]
    if m.rows.encoding is not None:
        words += ["--encoding", m.rows.encoding]
    if m.writes and "text" in m.rows.columns:
        words += ["--task", "write"]
    words += ["--recipe", f"{here}/recipe.yaml", "--seed", str(m.seed), "--out", f"{here}-again"]
    says = f"Run it from {where}; the recipe holds every choice but rows and seed."
    if not known:
        says += (
            " The rows are named as they were in training, and are not found from any folder above "
            "this run: put the path of today in their place."
        )
    return shlex.join(words), says


def _start(run: AnyRun) -> tuple[str, str, bool]:
    """The run as seen from the folder in which training was started, that folder in words, and
    whether the paths that were given then lead somewhere from there.

    No file says which folder it was, so it is the nearest above the run in which the rows are
    found, or where those were not given as a path from there, the base model or general texts.
    """
    folder = run.folder.resolve()
    rows = run.manifest.rows.source
    elsewhere = rows.startswith("hf:") or Path(rows).is_absolute()
    keep = (run.manifest.recipe.get("write") or {}).get("keep") or {}
    others = [run.manifest.model.name, keep.get("general"), keep.get("replay")]
    sought = [path for path in others if path] if elsewhere else [rows]
    for above in folder.parents[:LEVELS]:
        if any(_is_there(above / path) for path in sought):
            seen = folder.relative_to(above)
            return seen.as_posix(), _in_words(len(seen.parts)), True
    return folder.name, _in_words(1), elsewhere


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name too long, or a folder that may not be looked into
        return False


def _in_words(levels: int) -> str:
    """
    >>> _in_words(1), _in_words(2)
    ('the folder above the run’s own', 'the folder 2 levels above the run’s own')
    """
    return f"the folder {'' if levels == 1 else f'{levels} levels '}above the run’s own"
