"""From what the user names (file, folder, hub) to one RawPart for each given split."""

from __future__ import annotations

import re
from pathlib import Path

from equipoise.data.arrow_files import read_hub, read_parquet
from equipoise.data.raw import RawPart, join_parts
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
_SHARD = re.compile(r"-\d+-of-\d+$")


def read_parts(source: str | Path, encoding: str | None = None) -> dict[str, RawPart]:
    """{"all": part} for one file; else "train", "validation", "test" as far as they are given.

    Raises DataError if there is nothing to read, or what there is can't be read.
    """
    name = str(source)
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
    for path in sorted(folder.iterdir()):
        form = form_of(path)
        if form is None or not path.is_file():
            continue
        stem = path.name.lower().removesuffix(".gz").removesuffix(form)
        split = _STEMS.get(_SHARD.sub("", stem))
        if split is not None:
            found.setdefault(split, []).append(path)
    if not found:
        held = ", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "nothing"
        raise DataError(
            f"{folder}: holds no train, validation or test file in one of the forms "
            f"{', '.join(FORMS)}; it holds {held}"
        )
    faults = [
        f"{folder}: {' and '.join(p.name for p in paths)} are all {split} rows; keep one of them"
        for split, paths in found.items()
        if len(paths) > 1 and not all(_SHARD.search(p.name.split(".")[0]) for p in paths)
    ]
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
        if shards:
            where = shards[0].where if len(shards) == 1 else f"{folder}/{split}"
            parts[split] = join_parts(where, shards)
    if faults:
        raise DataError(*faults)
    return parts


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
