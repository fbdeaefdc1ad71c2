"""What does not fit into memory at once is done in parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from equipoise.errors import ModelError
from equipoise.models.cache import CacheSettings
from equipoise.models.memory import in_halves
from equipoise.models.states import ensure_states, pooled_vectors
from tests.models.conftest import Bases
from tests.models.tiny import easy_rows, make, token_rows

ROWS = easy_rows(40)
NO_ROOM = (
    torch.OutOfMemoryError(),
    MemoryError(),
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory"
    ),
)


@pytest.mark.parametrize("error", NO_ROOM)
def test_halves_come_in_order(error: Exception) -> None:
    sizes = []

    def run(rows: np.ndarray) -> list[int]:
        if len(rows) > 3:
            raise error
        sizes.append(len(rows))
        return rows.tolist()

    parts = in_halves(np.arange(10, 21), run)
    assert [row for part in parts for row in part] == list(range(10, 21))
    assert max(sizes) <= 3
    with pytest.raises(ModelError, match="out of memory with a single row"):
        in_halves(np.arange(2), lambda rows: (_ for _ in ()).throw(error))


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    def run(rows: np.ndarray) -> None:
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        in_halves(np.arange(4), run)


def test_states_and_vectors_are_those_of_whole_batches(
    bases: Bases, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier, base, _, _ = make(bases("bert"), method="light", trained_layers=1)
    tokens = token_rows(base, ROWS)
    whole = ensure_states(classifier, base, tokens, CacheSettings(tmp_path / "a", 10**8))
    forward = type(classifier).vectors

    def short(self: Any, input_ids: torch.Tensor, *rest: Any) -> torch.Tensor:
        if len(input_ids) > 10:
            raise torch.OutOfMemoryError
        return forward(self, input_ids, *rest)

    monkeypatch.setattr(type(classifier), "vectors", short)
    parts = ensure_states(classifier, base, tokens, CacheSettings(tmp_path / "b", 10**8))
    assert whole is not None
    assert parts is not None
    for row in range(len(tokens)):
        np.testing.assert_allclose(parts.row(row), whole.row(row), rtol=0, atol=1e-5)
    np.testing.assert_allclose(parts.vectors, whole.vectors, rtol=0, atol=1e-5)
    vectors = pooled_vectors(classifier, base, tokens)
    np.testing.assert_allclose(vectors, whole.vectors, rtol=0, atol=1e-5)
