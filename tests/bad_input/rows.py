"""Every malformed file of the reader's own tests, through the door."""

from __future__ import annotations

from tests.bad_input.case import Case
from tests.data.malformed import MALFORMED, Malformed


def _case(malformed: Malformed) -> Case:
    options = [
        part
        for name, value in malformed.options.items()
        for part in (f"--{name.replace('_', '-')}", value)
    ]
    return Case(
        f"rows: {malformed.name}",
        ("train", "{source}", "--model", "{base}", "--out", "{folder}/out", *options),
        malformed.words,
        source=malformed.build,
    )


ROWS = [_case(malformed) for malformed in MALFORMED]
