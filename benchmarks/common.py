"""The harness of every benchmark: price first, unit by unit, stored as they finish, resumable.

    bench = Bench("coverage", units=[Unit("rows10", {"rows": 10}), ...], run=run_unit,
                  price_seconds=lambda unit: 3.0)
    if __name__ == "__main__":
        raise SystemExit(bench.main())

A unit's result is kept in benchmarks/units/NAME/UNIT.json, together with the unit's settings and
the benchmark's version number. It is used again, on any machine and at any commit, for as long as
both are the same: raise `version` when the code that is measured changes what the figures mean.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.machine import Child, cores, machine, peak_rss, run_child, set_threads, threads
from benchmarks.sets import (
    ROOT,
    ChoosingRows,
    Pair,
    TextSet,
    data_folder,
    load_set,
    open_test,
    stratified_cap,
)
from equipoise.errors import EquipoiseError, SettingsError
from equipoise.records.files import replacing, write_json

__all__ = [
    "ROOT",
    "Bench",
    "Child",
    "ChoosingRows",
    "Pair",
    "Result",
    "TextSet",
    "Unit",
    "cores",
    "data_folder",
    "in_words",
    "load_set",
    "machine",
    "open_test",
    "peak_rss",
    "print_table",
    "run_child",
    "set_threads",
    "stratified_cap",
    "threads",
    "today",
]

SCHEMA = 1
_KEPT = ("name", "settings", "date", "seconds", "threads", "load_before", "result")


@dataclass(frozen=True)
class Unit:
    """The smallest piece of a benchmark that is run and stored by itself."""

    name: str
    """Unique in its benchmark; becomes a file name."""
    settings: Mapping[str, Any]
    """JSON values that decide the result; a change of any makes the unit run again."""


@dataclass(frozen=True)
class Result:
    """A unit's record with what is too large for JSON."""

    record: dict[str, Any]
    files: Mapping[str, bytes]
    """By suffix: {"npz": ...} is kept beside UNIT.json as UNIT.npz."""


@dataclass(frozen=True)
class Bench:
    name: str
    units: Sequence[Unit]
    run: Callable[[Unit], dict[str, Any] | Result]
    """One unit to a JSON record; NaN and infinity are refused, write None."""
    price_seconds: Callable[[Unit], float]
    """Estimated wall seconds of one unit on two cores."""
    version: int = 1
    summarise: Callable[[list[dict[str, Any]]], dict[str, Any]] | None = None
    """From the stored units (each with name, settings, seconds, result) to the headline."""
    table: Callable[[list[dict[str, Any]]], list[dict[str, Any]]] | None = None
    """From the stored units to printed lines; without it, one line of numbers per unit."""
    about: str = ""
    folder: Path = field(default=ROOT / "benchmarks")
    """Holds units/ and results/."""

    def main(self, argv: Sequence[str] | None = None) -> int:
        """Run as a command line. 0 well, 1 a unit failed, 2 the user's fault, 130 interrupted."""
        args = self._parser().parse_args(argv)
        bench = replace(self, folder=args.folder) if args.folder else self
        try:
            return bench._main(args)
        except EquipoiseError as error:
            for fault in error.faults:
                print(f"error: {fault}", file=sys.stderr)
            return 2

    def stored(self) -> list[dict[str, Any]]:
        """The valid stored records, in the order of `units`."""
        return [record for unit in self.units if (record := self.load(unit)) is not None]

    def load(self, unit: Unit) -> dict[str, Any] | None:
        """The unit's stored record, or None if there is none for these settings and version.

        `paths` in it says where the unit's files are, by suffix; without them it does not count.
        """
        try:
            record = json.loads(self._path(unit).read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError):
            return None
        same = (
            isinstance(record, dict)
            and record.get("schema") == SCHEMA
            and record.get("version") == self.version
            and record.get("settings") == _as_json(unit.settings)
        )
        if not same:
            return None
        record["paths"] = {end: str(self._path(unit, end)) for end in record.get("files", ())}
        return record if all(Path(path).exists() for path in record["paths"].values()) else None

    def _main(self, args: argparse.Namespace) -> int:
        names = [unit.name for unit in self.units]
        if len({_file_name(name) for name in names}) < len(names):
            raise ValueError(f"{self.name}: unit names are not unique as file names")
        chosen = _chosen(self.units, args.only)
        if not chosen:
            raise SettingsError(f"--only {args.only}: matches none of the {len(names)} units")
        left = [unit for unit in chosen if args.again or self.load(unit) is None]
        if args.list:
            for unit in chosen:
                state = "to run" if unit in left else "stored"
                print(f"{state}  {self.price_seconds(unit):8.0f} s  {unit.name}")
        left = left[: args.limit]
        price = sum(map(self.price_seconds, left))
        if args.seconds is not None:
            price = min(price, args.seconds)
        print(
            f"{self.name}: {len(left)} units to run of {len(chosen)} chosen and {len(names)} in "
            f"all, about {in_words(price)}",
            flush=True,
        )
        if args.list:
            return 0
        for unit in left:
            self._remove(unit)
        if args.threads:
            set_threads(args.threads)
        failed, interrupted = self._run_units(left, args.seconds)
        self._finish(failed)
        return 130 if interrupted else 1 if failed else 0

    def _remove(self, unit: Unit) -> None:
        """What is stored of a unit that is to be run, so that an interrupted run goes on here."""
        stored = self.load(unit)
        for path in (stored["paths"] if stored else {}).values():
            Path(path).unlink(missing_ok=True)
        self._path(unit).unlink(missing_ok=True)

    def _run_units(self, left: list[Unit], seconds: float | None) -> tuple[list[str], bool]:
        """Run and store; returns the names of units that raised, and whether Ctrl-C came."""
        started, spent, priced = time.monotonic(), 0.0, 0.0
        failed: list[str] = []
        # A machine that is taken away says SIGTERM; what is finished must be written then too.
        before = signal.signal(signal.SIGTERM, _interrupt)
        try:
            for k, unit in enumerate(left):
                if seconds is not None and time.monotonic() - started > seconds:
                    print(f"stopped after {in_words(seconds)}: {len(left) - k} units left")
                    break
                # Who else used the cores when the unit began: timings of a busy machine are not
                # worth much, and nothing else in the record would show it.
                load = os.getloadavg()[0]
                begun = time.monotonic()
                try:
                    result = self.run(unit)
                    took = time.monotonic() - begun
                    self._store(unit, result, took, load)
                except Exception as error:
                    failed.append(unit.name)
                    print(f"  FAILED {unit.name}: {type(error).__name__}: {error}", flush=True)
                    continue
                spent, priced = spent + took, priced + self.price_seconds(unit)
                # The estimate was made for another machine: correct it by what was seen so far.
                rate = spent / priced if priced > 0 else 1.0
                rest = rate * sum(map(self.price_seconds, left[k + 1 :]))
                print(
                    f"  {k + 1}/{len(left)} {unit.name}: {took:.1f} s, left {in_words(rest)}",
                    flush=True,
                )
        except KeyboardInterrupt:
            print("interrupted; the same command goes on from here", flush=True)
            return failed, True
        finally:
            signal.signal(signal.SIGTERM, before)
        return failed, False

    def _store(
        self, unit: Unit, result: dict[str, Any] | Result, seconds: float, load: float
    ) -> None:
        found = result if isinstance(result, Result) else Result(result, {})
        for end, content in found.files.items():  # before the record, which says that all is there
            path = self._path(unit, end)
            with replacing(path) as temporary:
                temporary.write_bytes(content)
        record = {
            "schema": SCHEMA,
            "bench": self.name,
            "version": self.version,
            "name": unit.name,
            "settings": _as_json(unit.settings),
            "date": today(),
            "seconds": round(seconds, 3),
            "threads": threads(),
            "load_before": round(load, 2),
            "machine": machine(),
            **({"files": sorted(found.files)} if found.files else {}),
            "result": found.record,
        }
        write_json(self._path(unit), record)

    def _finish(self, failed: list[str]) -> None:
        """Write the dated result and print the table, from all stored units."""
        stored = self.stored()
        complete = len(stored) == len(self.units)
        if not complete:
            print(f"PARTIAL: {len(stored)} of {len(self.units)} units are there")
        if failed:
            print(f"FAILED: {len(failed)} units: {', '.join(failed)}")
        if not stored:
            return
        summary = self.summarise(stored) if self.summarise else {}
        record = {
            "schema": SCHEMA,
            "name": self.name,
            "version": self.version,
            "about": self.about,
            "date": today(),
            "machine": machine(),
            "complete": complete,
            "units_wanted": len(self.units),
            "units": [
                {key: unit[key] for key in _KEPT}
                # Units may have been run on several machines; say so where one differs.
                | ({} if unit["machine"] == machine() else {"machine": unit["machine"]})
                for unit in stored
            ],
            "summary": summary,
        }
        path = self.folder / "results" / f"{self.name}-{today()}.json"
        write_json(path, record)
        print_table(self.table(stored) if self.table else [_line(unit) for unit in stored])
        for key, value in summary.items():
            said = value if isinstance(value, str) else json.dumps(value)
            if len(said) <= 400:  # the rest is for the file: a table says it better
                print(f"{key}: {said}")
        print(f"wrote {os.path.relpath(path)}")

    def _path(self, unit: Unit, end: str = "json") -> Path:
        return self.folder / "units" / self.name / f"{_file_name(unit.name)}.{end}"

    def _parser(self) -> argparse.ArgumentParser:
        parser = argparse.ArgumentParser(f"python -m benchmarks.{self.name}", None, self.about)
        parser.add_argument("--only", metavar="PATTERN", help="regular expression, or name with *")
        parser.add_argument("--limit", type=int, metavar="N", help="run at most N units")
        parser.add_argument("--seconds", type=float, metavar="S", help="start no unit after S")
        parser.add_argument("--again", action="store_true", help="run stored units anew")
        parser.add_argument("--list", action="store_true", help="show units and price, run nothing")
        parser.add_argument("--threads", type=int, metavar="N", help="threads of every library")
        parser.add_argument("--folder", type=Path, help="instead of benchmarks/, for a trial")
        return parser


def today() -> str:
    return datetime.now(UTC).date().isoformat()


def in_words(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def print_table(lines: list[dict[str, Any]]) -> None:
    """Print dicts as aligned columns; numbers with three decimals, None as a dash."""
    names = list(dict.fromkeys(name for line in lines for name in line))
    cells = [names, *([_cell(line.get(name)) for name in names] for line in lines)]
    widths = [max(len(row[k]) for row in cells) for k in range(len(names))]
    for row in cells:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 1000 else f"{value:.0f}"
    return str(value)


def _line(unit: dict[str, Any]) -> dict[str, Any]:
    plain = {k: v for k, v in unit["result"].items() if isinstance(v, bool | int | float | str)}
    return {"unit": unit["name"], **plain, "took_s": unit["seconds"]}


def _chosen(units: Sequence[Unit], pattern: str | None) -> list[Unit]:
    """The units whose whole name fits the pattern read as name*, else read as an expression."""
    if pattern is None:
        return list(units)
    chosen = [unit for unit in units if fnmatch.fnmatchcase(unit.name, pattern)]
    try:
        return chosen or [unit for unit in units if re.search(pattern, unit.name)]
    except re.error as error:
        raise SettingsError(f"--only {pattern}: not an expression ({error})") from None


def _file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._=+-]+", "_", name)


def _as_json(value: Any) -> Any:
    return json.loads(json.dumps(value if not isinstance(value, Mapping) else dict(value)))


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt
