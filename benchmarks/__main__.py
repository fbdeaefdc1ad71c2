"""List every benchmark with what it shows; run one with `python -m benchmarks.NAME`."""

from __future__ import annotations

import ast
from pathlib import Path

HERE = Path(__file__).parent
ROOMS = (
    *("__init__", "__main__", "arms", "audit_tables", "common", "cost_truths", "deciding_again"),
    *("exact_models", "exact_runs", "figures", "judged", "machine", "merge_files", "paired"),
    *("sentences", "sets", "sft_arms", "truths", "writing_runs"),
)
"""Modules that the benchmarks share."""


def names() -> list[str]:
    return sorted(path.stem for path in HERE.glob("*.py") if path.stem not in ROOMS)


def main() -> None:
    width = max(map(len, names()))
    for name in names():
        about = ast.get_docstring(ast.parse((HERE / f"{name}.py").read_text(encoding="utf-8")))
        print(f"  {name:<{width}}  {(about or '').splitlines()[0]}")
    print("Run one with: .venv/bin/python -m benchmarks.NAME   (--list prints units and price)")


if __name__ == "__main__":
    main()
