"""One training, killed again and again: `python -m tests.models.kills BASE OUT JSON`.

Every attempt is a fork of this process, so that a hundred cost no more than one start. JSON is a
list of trainings; each has `method`, `settings`, and `kills`, one per attempt but the last:

    step:N      SIGKILL at the end of optimizer step N
    save:N      in the middle of writing the Nth file of weights
    mark:N      just before the Nth checkpoint is marked whole
    drop:N      half-way through removing the Nth checkpoint that is not needed
    finish      after the last weights are written, before the training is marked finished
    time:S      after S seconds of training

Writes OUT/results.json: per training, SHA-256 of all weights, the record, which attempts really
died, and what was left behind.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from equipoise.models import train as train_module
from equipoise.models import trainer as trainer_module
from equipoise.models.cache import CacheSettings
from equipoise.models.states import ensure_states
from tests.models.tiny import easy_rows, make, make_feed, token_rows
from tests.models.training import train

ROWS, JUDGED = easy_rows(44), easy_rows(30, seed=9)
EPOCHS = 4


def attempt(base_folder: Path, job: dict[str, Any], folder: Path, cache: Path) -> dict[str, Any]:
    """Train to the end, from wherever `folder` stands."""
    classifier, base, _, _ = make(base_folder, method=job["method"], dropout=0.2)
    held = {}
    for name, rows in (("train", ROWS), ("judged", JUDGED)):
        states = None
        if job["method"] == "light":
            states = ensure_states(
                classifier, base, token_rows(base, rows), CacheSettings(cache, 10**9)
            )
            assert states is not None
        held[name] = make_feed(base, rows, states=states)
    log: list[dict[str, Any]] = []
    trained = train(
        classifier,
        held["train"],
        folder,
        epochs=EPOCHS,
        validation=held["judged"],
        log=log,
        stepped=lambda step, _: _kill_if(job, "step", step),
        rates=(3e-3, 3e-3),
        **job["settings"],
    )
    digest = hashlib.sha256()
    for name, weight in sorted(classifier.named_parameters()):
        digest.update(name.encode() + weight.detach().cpu().numpy().tobytes())
    return {"digest": digest.hexdigest(), "trained": vars(trained), "lines": len(log)}


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _kill_if(job: dict[str, Any], kind: str, count: int) -> None:
    if job.get("kill") == f"{kind}:{count}":
        _kill()


def lay_traps(job: dict[str, Any]) -> None:
    """Make this process die where the job says."""
    counts = {"save": 0, "mark": 0, "drop": 0}
    save, drop = trainer_module.save_trained, trainer_module.remove_checkpoint
    mark = trainer_module.EpochKeeper.on_save

    def counted(kind: str) -> bool:
        counts[kind] += 1
        return bool(job.get("kill") == f"{kind}:{counts[kind]}")

    def saving(model: torch.nn.Module, path: Path) -> None:
        save(model, path)
        if counted("save"):
            os.truncate(path, path.stat().st_size // 2)
            _kill()

    def marking(self: Any, *args: Any, **kwargs: Any) -> Any:
        if counted("mark"):
            _kill()
        return mark(self, *args, **kwargs)

    def dropping(folder: Path) -> None:
        if counted("drop"):
            (folder / "complete.json").unlink()
            next(folder.glob("*.pt")).unlink()
            _kill()
        drop(folder)

    def finishing(path: Path, text: str) -> None:
        if path.name == "finished.json" and job.get("kill") == "finish":
            _kill()
        path.write_text(text)

    trainer_module.save_trained = train_module.save_trained = saving
    trainer_module.remove_checkpoint = dropping
    trainer_module.EpochKeeper.on_save = marking  # type: ignore[method-assign]
    train_module.write_text = finishing
    kind, _, after = str(job.get("kill")).partition(":")
    if kind == "time":
        threading.Timer(float(after), _kill).start()


def main() -> None:
    base, out, jobs = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
    torch.set_num_threads(1)
    results = []
    for number, job in enumerate(jobs):
        folder, answer = out / str(number), out / f"{number}.json"
        died = []
        started = time.monotonic()
        for kill in (*job["kills"], None):
            child = os.fork()
            if child == 0:
                lay_traps(job | {"kill": kill})
                found = attempt(base, job | {"kill": kill}, folder, out / "cache")
                answer.write_text(json.dumps(found))
                os._exit(0)
            status = os.waitpid(child, 0)[1]
            died.append(os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL)
            if not died[-1] and status != 0:
                raise SystemExit(f"training {number}: attempt {len(died)} failed")
        results.append(
            json.loads(answer.read_text())
            | {"died": died, "seconds": time.monotonic() - started, "left": left(folder)}
        )
    (out / "results.json").write_text(json.dumps(results))


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


if __name__ == "__main__":
    np.seterr(all="raise", under="ignore")
    main()
