"""One arm as a process; see benchmarks/rivals/__init__.py."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from benchmarks.rivals import ARMS
from benchmarks.sets import TextSet, read_split


def main(argv: list[str]) -> None:
    arm, folder, out, settings = argv
    splits = (read_split(Path(folder), split) for split in ("train", "validation", "test"))
    said = ARMS[arm](TextSet(*splits), json.loads(settings))
    np.savez(out, classes=np.array(said.classes), validation=said.validation, test=said.test)
    print(json.dumps(said.record))


if __name__ == "__main__":
    main(sys.argv[1:])
