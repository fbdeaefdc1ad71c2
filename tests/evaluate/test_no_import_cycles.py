"""Files of evaluate/ import each other in one direction, inside functions too."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import equipoise.evaluate

PACKAGE = "equipoise.evaluate"
FOLDER = Path(equipoise.evaluate.__file__).parent


def imported(path: Path, names: set[str]) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found & names


def test_no_two_files_import_each_other():
    files = {
        ".".join((PACKAGE, *path.relative_to(FOLDER).with_suffix("").parts)): path
        for path in FOLDER.rglob("*.py")
        if path.name != "__init__.py"
    }
    graph = {name: imported(path, set(files)) for name, path in files.items()}
    assert graph[f"{PACKAGE}.judge"] >= {f"{PACKAGE}.several.judge", f"{PACKAGE}.estimates"}
    order = list(TopologicalSorter(graph).static_order())  # raises CycleError
    assert set(order) == set(files)
