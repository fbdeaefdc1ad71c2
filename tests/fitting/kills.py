"""A run that writes, killed and run again: `python -m tests.fitting.kills BASE ROWS OUT JSON`.

Every attempt is a fork of this process, so that several cost no more than one start. JSON is
{name: [[title, done], ...]}: of each run the moments at which its attempts but the last die by
SIGKILL, as progress tells them: ["training", 9] at the end of step 9, ["writing", 8] when eight
texts are written and kept. A moment that does not come is an error.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from transformers import GPT2LMHeadModel, Trainer  # noqa: F401 - once, for all attempts

from equipoise.fit import fit
from equipoise.fitting.writing import kind  # noqa: F401 - as above
from equipoise.recipe import make_recipe

Moment = tuple[str, int]


def attempt(base: Path, rows: Path, out: Path, dies: Moment | None) -> None:
    recipe = make_recipe(
        {
            "model": {"name": str(base), "method": "full", "max_tokens": 48, "dropout": 0.2},
            "train": {
                "epochs": 3,
                "batch_rows": 16,
                "device_rows": 16,
                "learning_rate": 3e-3,
                "precision": "float32",
                "choose_by": "loss",
            },
            "write": {
                "decode": {"new_tokens": 6, "batch_rows": 4, "temperature": 1.0},
                "decode_rows": 12,
            },
            "remedies": ["sqrt_sampler", "focal"],
            "baselines": [],
        }
    )

    def progress(title: str, done: int, total: int) -> None:
        if (title, done) == dies:
            os.kill(os.getpid(), signal.SIGKILL)

    fit(rows, out, recipe, progress=progress)


def main() -> None:
    base, rows, out = map(Path, sys.argv[1:4])
    for name, moments in json.loads(sys.argv[4]).items():
        for dies in (*map(tuple, moments), None):
            child = os.fork()
            if child == 0:
                attempt(base, rows, out / name, dies)
                os._exit(0)
            status = os.waitpid(child, 0)[1]
            killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
            if killed != (dies is not None) or not (killed or status == 0):
                raise SystemExit(f"{name}: the attempt that dies at {dies} ended with {status}")


if __name__ == "__main__":
    main()
