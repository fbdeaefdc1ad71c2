"""From what the user names (file, folder, hub) to one RawPart for each given split."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from equipoise.data.arrow_files import read_hub, read_parquet
from equipoise.data.cell_faults import has_half_surrogate
from equipoise.data.raw import RawPart, join_parts, listing
from equipoise.data.table import TEST, TRAIN, VALIDATION, WHOLE
from equipoise.data.text_files import decode, parse_delimited, parse_json_lines, read_bytes
from equipoise.errors import DataError

FORMS = (".csv", ".tsv", ".jsonl", ".parquet")
_STEMS = {
    "train": TRAIN,
    "training": TRAIN,
    "validation": VALIDATION,
    "valid": VALIDATION,
    "val": VALIDATION,
    "dev": VALIDATION,
    "test": TEST,
}
# The hub writes large splits as train-00000-of-00003.parquet.
_SHARD = re.compile(r"-(\d+)-of-(\d+)$")


def read_parts(source: str | Path, encoding: str | None = None) -> dict[str, RawPart]:
    """{"all": part} for one file; else "train", "validation", "test" as far as they are given.

    Raises DataError if there is nothing to read, or what there is can't be read.
    """
    name = str(source)
    if has_half_surrogate(name):  # so Python holds bytes that are none; no record could name them
        shown = name.encode("utf-8", "backslashreplace").decode()
        raise DataError(f"{shown[:400]}: the name is not UTF-8; rename the file or its folder")
    if name.startswith("hf:"):
        return _named(read_hub(name), name)
    path = Path(source)
    try:
        is_folder, is_there = path.is_dir(), path.exists()
    except (OSError, ValueError) as error:
        raise DataError(f"{name[:200]}: no name of a file ({error}); check it"[:600]) from None
    if is_folder:
        return _read_folder(path, encoding)
    if not is_there:
        raise DataError(
            f"{path}: no such file or folder; give a {', '.join(FORMS)} file, a folder that holds "
            "train, validation and test, or hf:owner/name"
        )
    return {WHOLE: _read_file(path, encoding)}


def form_of(path: Path) -> str | None:
    """ ".csv" for "a.csv" and "a.CSV.gz"; None if the name has none of the known forms."""
    name = path.name.lower()
    if name.endswith(".gz"):
        name = name.removesuffix(".gz")
        return next((f for f in FORMS if name.endswith(f) and f != ".parquet"), None)
    return next((form for form in FORMS if name.endswith(form)), None)


def _read_file(path: Path, encoding: str | None) -> RawPart:
    form = form_of(path)
    if form is None:
        hint = "; write one JSON object per line and call it .jsonl" if ".json" in path.name else ""
        raise DataError(
            f"{path}: rows are read from {', '.join(FORMS)} files (the text forms also as .gz)"
            f"{hint or '; convert the file'}"
        )
    if form == ".parquet":
        return read_parquet(path)
    text = decode(read_bytes(path), str(path), encoding)
    if form == ".jsonl":
        return parse_json_lines(text, str(path))
    return parse_delimited(text, str(path), tabs=form == ".tsv")


def _read_folder(folder: Path, encoding: str | None) -> dict[str, RawPart]:
    found: dict[str, list[Path]] = {}
    numbered: dict[str, list[tuple[int, int] | None]] = {}
    for path in sorted(folder.iterdir()):
        form = form_of(path)
        if form is None or not path.is_file():
            continue
        stem = path.name.lower().removesuffix(".gz").removesuffix(form)
        split = _STEMS.get(_SHARD.sub("", stem))
        if split is not None:
            found.setdefault(split, []).append(path)
            shard = _SHARD.search(stem)
            numbered.setdefault(split, []).append(shard and (int(shard[1]), int(shard[2])))
    if not found:
        held = ", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "nothing"
        raise DataError(
            f"{folder}: holds no train, validation or test file in one of the forms "
            f"{', '.join(FORMS)}; it holds {held}"
        )
    faults: list[str] = []
    for split, paths in found.items():
        shards_of = [number for number in numbered[split] if number is not None]
        if len(shards_of) == len(paths):
            faults += _shard_faults(f"{folder}: the {split} rows", shards_of)
        elif len(paths) > 1:
            names = " and ".join(path.name for path in paths)
            faults.append(f"{folder}: {names} are all {split} rows; keep one of them")
    if faults:
        raise DataError(*faults)
    parts = {}
    for split in (TRAIN, VALIDATION, TEST):
        shards = []
        for path in found.get(split, []):
            try:
                shards.append(_read_file(path, encoding))
            except DataError as error:
                faults.extend(error.faults)
        try:
            if shards:
                parts[split] = join_parts(f"{folder}/{split}", shards)
        except DataError as error:
            faults.extend(error.faults)
    if faults:
        raise DataError(*faults)
    return parts


def _shard_faults(where: str, shards: list[tuple[int, int]]) -> Iterable[str]:
    """What is wrong with the numbers of shards and the totals that their names give: without a
    word a lost shard would be lost rows, and one that is there twice rows that count twice."""
    totals = sorted({total for _, total in shards})
    if len(totals) > 1:
        yield (
            f"{where} are shards of {' and of '.join(map(str, totals))} files; keep those of one "
            "download"
        )
        return
    (total,) = totals
    held = Counter(number for number, _ in shards)
    # The hub counts from 0. Some tools count from 1: then the last has the total's number.
    first = 1 if 0 not in held and total in held else 0
    needed = range(first, first + total)
    missing = [number for number in needed if number not in held]
    double = sorted(number for number, files in held.items() if files > 1)
    beyond = sorted(number for number in held if number not in needed)
    if missing:
        lack = listing(missing, "shard")
        yield f"{where} lack {lack} of {total}, counted from {first}; copy or download the rest"
    if double:
        yield f"{where} hold {listing(double, 'shard')} more than once; keep one file of each"
    if beyond:
        yield f"{where} hold {listing(beyond, 'shard')} of {total}, counted from {first}; rename it"


def _named(parts: dict[str, RawPart], name: str) -> dict[str, RawPart]:
    """Hub splits under our names, in our order; splits such as "unsupervised" are left out."""
    if len(parts) == 1:
        return {WHOLE: next(iter(parts.values()))}
    ours: dict[str, RawPart] = {}
    for split in (TRAIN, VALIDATION, TEST):
        theirs = [theirs for theirs in parts if _STEMS.get(theirs.lower()) == split]
        if len(theirs) > 1:
            raise DataError(f"{name}: has the splits {' and '.join(theirs)}, both {split} rows")
        if theirs:
            ours[split] = parts[theirs[0]]
    if not ours:
        raise DataError(
            f"{name}: has the splits {', '.join(parts)}, none of them train, validation or test; "
            "save the rows you want as a file"
        )
    return ours
