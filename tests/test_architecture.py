"""Imports point up: a folder may use those below it, never its siblings or those above."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "equipoise"

LEVELS = [
    {"records", "errors", "costs", "statistics", "progress"},
    {"data", "defaults"},
    {"audit", "remedies", "models", "evaluate", "merge"},
    {"recipe", "asked"},
    {"fitting"},
    {"fit", "auditing", "demo", "writer_run"},
    {"load", "report"},
    {"summary", "out_file", "settings", "given", "options", "own_function", "terminal"},
    {"commands", "audit_commands", "judge_commands"},
    {"merge_commands"},
    {"cli", "classifier", "losses", "samplers"},
]
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names}
TORCH = ("remedies/losses", "remedies/batches", "models", "merge", "fitting", "losses", "samplers")


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_up(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for name in imports(path):
        if not name.startswith("equipoise."):
            continue
        other = name.split(".")[1]
        if other != own:
            assert LEVEL[other] < LEVEL[own] or (
                {own, other} <= LEVELS[0]  # the lowest level holds plain helpers
            ), f"{path.name} in {own} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_what_trains_imports_torch(path: Path) -> None:
    place = str(path.relative_to(PACKAGE)).removesuffix(".py")
    if not place.startswith(TORCH):
        assert not {name.split(".")[0] for name in imports(path)} & {"torch", "transformers"}


def test_no_two_files_import_each_other() -> None:
    """Inside functions too: where files need each other, one of them holds what both need."""
    names = {".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in MODULES}
    names = {name.removesuffix(".__init__") for name in names}
    graph = {}
    for path in MODULES:
        place = path.relative_to(PACKAGE.parent).with_suffix("").parts
        own = ".".join(place).removesuffix(".__init__")
        used = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                inner = {f"{node.module}.{alias.name}" for alias in node.names} & names
                used |= inner or {node.module} & names
        graph[own] = used - {own}
    assert len(graph["equipoise.fit"]) > 10
    order = list(TopologicalSorter(graph).static_order())  # raises CycleError, which names them
    assert set(order) == names


def test_help_needs_no_torch() -> None:
    code = "import sys, equipoise.cli; print(sorted(m for m in sys.modules if m in HEAVY))"
    heavy = "('torch', 'transformers', 'pandas', 'sklearn', 'numpy', 'pydantic')"
    out = subprocess.run(
        [sys.executable, "-c", code.replace("HEAVY", heavy)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert out.stdout.strip() == "[]"


def test_a_fault_of_a_setting_is_answered_without_torch() -> None:
    code = (
        "import sys; from equipoise import cli; from equipoise.errors import SettingsError\n"
        "try: cli.app(['train', 'rows.csv', '--set', 'nonsense.x=1'], standalone_mode=False)\n"
        "except SettingsError as error: print(error.faults[0][:25], 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "nonsense: unknown setting False"


def test_the_door_is_as_listed() -> None:
    import equipoise

    assert sorted(equipoise.__all__) == [
        "EquipoiseClassifier",
        "EquipoiseError",
        "Recipe",
        "__version__",
        "fit",
        "load",
    ]
    for name in equipoise.__all__:
        assert getattr(equipoise, name) is not None


def test_the_door_opens_whatever_was_imported_before() -> None:
    """`equipoise.load` and `equipoise.fit` are modules as well as functions."""
    code = (
        "import equipoise.load, equipoise.fit, equipoise.summary; from equipoise.load import load; "
        "assert equipoise.load is load; assert callable(equipoise.fit)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
