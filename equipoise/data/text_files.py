"""CSV, TSV and JSON-lines files, plain or gzipped: bytes to columns of cells."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import re
import sys
import zlib
from pathlib import Path
from typing import Any

from equipoise.data.raw import BROKEN, RawPart, capped
from equipoise.errors import DataError, SettingsError

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    # UTF-32's little-endian mark begins with UTF-16's, so it is asked first.
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_MAGIC = (
    (b"\x1f\x8b", "gzip data; give the file a name that ends in .gz"),
    (b"PAR1", "a Parquet file; give it a name that ends in .parquet"),
    (b"PK\x03\x04", "a zip archive or an Excel workbook; save the sheet as CSV UTF-8"),
    (b"%PDF", "a PDF; rows are read from .csv, .tsv, .jsonl or .parquet"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook; save the sheet as CSV UTF-8"),
)


def read_bytes(path: Path) -> bytes:
    """The bytes of a file, unpacked if its name ends in .gz. Raises DataError if it can't be
    read, is cut off, or holds another format than its name says."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: can't be read ({error.strerror}); check the path") from None
    if path.suffix.lower() == ".gz":
        try:
            raw = gzip.decompress(raw)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise DataError(
                f"{path}: not a whole gzip file ({error}); copy or download it again"
            ) from None
    for magic, what in _MAGIC:
        if raw.startswith(magic):
            raise DataError(f"{path}: holds {what}")
    if not raw.strip(b"\0 \t\r\n"):
        raise DataError(f"{path}: holds no rows; the file is {'blank' if raw else 'empty'}")
    return raw


def decode(raw: bytes, where: str, encoding: str | None = None) -> str:
    """Text of a file: by its byte order mark, else `encoding`, else UTF-8.

    Raises DataError with the offset of the first byte that does not fit; SettingsError if Python
    knows no such encoding, or one that is not for files.
    """
    mark, marked = next(((m, e) for m, e in _BOMS if raw.startswith(m)), (b"", None))
    chosen = marked or encoding or "utf-8"
    head = raw[:1000]
    if chosen == "utf-8" and head.count(0) > len(head) / 5:
        # It would decode, into text with a null byte beside each letter.
        raise DataError(
            f"{where}: a fifth of its first bytes are zero, as in UTF-16 without a byte order "
            "mark; save the file as UTF-8, or try --encoding utf-16-le"
        )
    try:
        codecs.lookup(chosen)
        return raw[len(mark) :].decode(chosen)
    except LookupError:
        raise SettingsError(
            f"encoding {chosen!r} is not known; use utf-8, utf-16, latin-1, cp1252, ..."
        ) from None
    except UnicodeDecodeError as error:
        offset = error.start + len(mark)
        line = raw.count(b"\n", 0, offset) + 1
        advice = (
            "the file is cut off or mixed; save it again as UTF-8"
            if marked
            else "save the file as UTF-8, or name its encoding with --encoding (latin-1, cp1252)"
        )
        raise DataError(
            f"{where}: byte {offset} (line {line}, 0x{raw[offset]:02x}) is not {chosen}; {advice}"
        ) from None
    except ValueError as error:  # a name with a null byte, or a codec that is for no files
        raise SettingsError(
            f"encoding {chosen!r} can't be used for {where} ({error}); use utf-8, utf-16, "
            "latin-1, cp1252, ..."
        ) from None


_QUOTED = r'(?:\A|(?<=[,;\t]))"[^"]*+(?:""[^"]*+)*+"'
"""A quoted cell; a quote inside of an unquoted one stands for itself, as `csv` has it."""
_RECORD = re.compile(rf"(?:{_QUOTED}|[^\r\n])*")
_SAID = re.compile(r'[\r\n]*("?)sep=([^\w"\r\n])\1(?=[\r\n])')
"""Excel's line that says what divides the cells of the lines below."""


def _delimiter(text: str) -> str:
    """What splits a file whose text this is: what its line of column names holds most of.

    >>> _delimiter('id;text;"a, b, c, d"'), _delimiter("id;text,"), _delimiter("text")
    (';', ',', ',')
    >>> _delimiter('\\n"text, \\n(body, title)";label\\n1,5;a'), _delimiter('5";6";7,8')
    (';', ';')
    """
    named = _RECORD.match(text.lstrip("\r\n"))
    bare = re.sub(_QUOTED, "", named[0] if named else "")
    return max(",;\t", key=bare.count)


def parse_delimited(text: str, where: str, *, tabs: bool) -> RawPart:
    """Cells of a .csv or .tsv file; its first record names the columns.

    A .csv whose first record holds, outside of quotes, more semicolons than commas (as Excel writes
    in half of Europe), or more tabs, is split at those; any file at what a line `sep=;` before it
    says. Blank lines are skipped. Lines with too many or too few cells are faults, and so are
    cells that are, between tabs, most likely two lines.
    """
    # The default limit of 131,072 characters per cell is shorter than a long document.
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    said = _SAID.match(text)
    if said:
        text = text[said.end() :]
    before = 0 if said is None else len(said[0].splitlines()) - 1
    delimiter = said[2] if said else "\t" if tabs else _delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    records: list[list[Any]] = []
    wrong: list[str] = []
    names: list[str] | None = None
    begun = before
    try:
        for cells in reader:
            line, begun = begun + 1, before + reader.line_num
            if not cells:
                continue
            if names is None:
                names = _header(cells, where, line)
                continue
            fault = _record_fault(cells, len(names), delimiter)
            records.append(cells if fault is None else [BROKEN] * len(names))
            if fault is not None:
                wrong.append(f"{where}: line {line} {fault}")
    except csv.Error as error:
        raise DataError(
            f"{where}: the record that begins in line {begun + 1} can't be read ({error}); close "
            'its quotes, and write a quote inside a quoted cell twice ("")'
        ) from None
    if names is None or not records:
        raise DataError(f"{where}: holds no rows, only a line of column names; add rows")
    columns = dict(zip(names, (list(c) for c in zip(*records, strict=True)), strict=True))
    faults = capped(wrong, where, "lines do not fit")
    return RawPart(where, columns, len(records), faults, text_only=True)


def _record_fault(cells: list[str], columns: int, delimiter: str) -> str | None:
    if len(cells) != columns:
        advice = (
            f"quote cells that hold a {_NAMES.get(delimiter, delimiter)}"
            if len(cells) > columns
            else "add what is missing"
        )
        return f"has {_count(len(cells), 'cell')}, the first line {columns}; {advice}"
    if delimiter == "\t" and any("\t" in cell and _BREAK.search(cell) for cell in cells):
        # Files that quote nothing let a text begin with a quote, which `csv` closes lines later.
        return (
            "begins a quoted cell that goes on over a tab and a line break, as if two lines were "
            "one; where quotes stand for themselves, put the cell in quotes and write each of its "
            "own twice, else write the rows as .csv with commas or as .jsonl"
        )
    return None


def parse_json_lines(text: str, where: str) -> RawPart:
    """Cells of a .jsonl file: one object per line; blank lines are skipped."""
    if text.lstrip().startswith("["):
        raise DataError(
            f"{where}: holds one JSON list; write one object per line, without brackets and commas"
        )
    records: list[dict[str, Any] | None] = []
    faults: list[str] = []
    # Not splitlines: a JSON string may hold U+2028 and other characters that it breaks at.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        record: dict[str, Any] | None = None
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            reason = getattr(error, "msg", None) or str(error)
            column = f", column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
            faults.append(f"{where}: line {number}{column} is not JSON ({reason}); mend the line")
        else:
            if isinstance(value, dict):
                record = value
            else:
                faults.append(
                    f"{where}: line {number} holds {json_name(value)}, not an object; "
                    'write {"text": ..., "label": ...}'
                )
        records.append(record)
    if faults and len(faults) == len(records):
        raise DataError(*capped(faults, where, "lines are not JSON objects"))
    if not records:
        raise DataError(f"{where}: holds no rows; write one JSON object per line")
    names = list(dict.fromkeys(name for record in records if record for name in record))
    cells = {
        name: [BROKEN if record is None else record.get(name) for record in records]
        for name in names
    }
    return RawPart(where, cells, len(records), capped(faults, where, "lines are not JSON objects"))


def json_name(value: Any) -> str:
    """What JSON calls the kind of `value`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "text"
    if isinstance(value, list | tuple):
        return "a list"
    return "an object" if isinstance(value, dict) else f"a value of type {type(value).__name__}"


_BREAK = re.compile(r"[\r\n]")
_NAMES = {",": "comma", ";": "semicolon", "\t": "tab"}


def _header(cells: list[str], where: str, line: int) -> list[str]:
    # pandas writes its index under an empty name; such columns are called by their place.
    names = [cell.strip() or f"column {place}" for place, cell in enumerate(cells, start=1)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(
            *(
                f"{where}: line {line} names the column {name!r} {names.count(name)} times; "
                "give each column its own name"
                for name in twice
            )
        )
    return names


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
