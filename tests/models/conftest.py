"""One thread, quiet libraries, and each tiny base model made once for all tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from transformers.utils import logging

from tests.models.tiny import save_base

Bases = Callable[..., Path]


@pytest.fixture(autouse=True, scope="session")
def _quiet() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Bases:
    """bases("bert", layers=3): the folder of that tiny base model."""
    made: dict[tuple[str, int], Path] = {}

    def get(architecture: str, layers: int = 3) -> Path:
        key = architecture, layers
        if key not in made:
            folder = tmp_path_factory.mktemp("bases") / f"{architecture}-{layers}"
            made[key] = save_base(folder, architecture, layers)
        return made[key]

    return get
