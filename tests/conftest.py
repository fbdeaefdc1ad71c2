"""What every test may rely on: no network, no cache but its own, and one tiny finished run."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli_runner import Outcome, run_cli

# Before any test imports a library that reads them. Two tests that load torch at once on two
# cores are slower with more threads, not faster, and one thread is what makes bytes repeat.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Cached states go to a folder of the tests: never read from, or left in, the user's own."""
    folder = tmp_path_factory.mktemp("cache")
    before = os.environ.get("EQUIPOISE_CACHE")
    os.environ["EQUIPOISE_CACHE"] = str(folder)
    yield folder
    if before is None:
        del os.environ["EQUIPOISE_CACHE"]
    else:
        os.environ["EQUIPOISE_CACHE"] = before


@pytest.fixture(scope="session", autouse=True)
def libraries_are_no_garbage() -> None:
    """Every training ends in a full collection, which would go through all that the libraries hold
    and take longer than the training."""
    import sklearn.linear_model  # noqa: F401
    from transformers import Trainer  # noqa: F401

    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a two-layer BERT of width 32 with its tokenizer."""
    from tests.models.tiny import save_base

    return save_base(tmp_path_factory.mktemp("base") / "bert", "bert", 2)


@pytest.fixture(scope="session")
def tiny_rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train.csv and test.csv that the tiny base learns from."""
    from tests.tiny_rows import write_rows

    folder = tmp_path_factory.mktemp("rows")
    write_rows(folder / "train.csv", seed=0)
    write_rows(folder / "test.csv", seed=1, start=1000)
    return folder


@pytest.fixture(scope="session")
def tiny_trained(
    tmp_path_factory: pytest.TempPathFactory, tiny_base: Path, tiny_rows: Path
) -> tuple[tuple[str, ...], Outcome]:
    """The command of a default run on them, and how it ended."""
    out = tmp_path_factory.mktemp("runs") / "tiny"
    args = ("train", tiny_rows, "--model", tiny_base, "--epochs", "2", "--out", out, "--json")
    command = tuple(map(str, args))
    return command, run_cli(*command)


@pytest.fixture(scope="session")
def tiny_run(tiny_trained: tuple[tuple[str, ...], Outcome]) -> Path:
    """The folder of that run; read it, copy it, never write to it."""
    command, done = tiny_trained
    assert done.code == 0, done.stderr
    return Path(command[command.index("--out") + 1])


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An endpoint on this machine that answers as a judge model would, and the key it wants."""
    from tests.evaluate.texts.judge_server import SECRET, Server

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    one = Server()
    yield one
    one.close()
