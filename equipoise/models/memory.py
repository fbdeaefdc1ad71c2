"""Passes that do not fit into memory, made over fewer rows at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from equipoise.errors import ModelError

T = TypeVar("T")
Index = NDArray[np.int64]
NO_ROOM = (
    "out of memory with a single row at once; use a smaller model or max_tokens, "
    "method light or lora, precision bf16, or gradient_checkpointing"
)


def out_of_memory(error: BaseException) -> bool:
    """Of a GPU, or of the processor, whose allocator raises RuntimeError."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(
        words in str(error) for words in ("out of memory", "can't allocate memory")
    )


def in_halves(rows: Index, run: Callable[[Index], T]) -> list[T]:
    """`run` of all rows at once, or of their halves, quarters ... in order, where memory runs out.

    Raises ModelError if a single row does not fit.
    """
    try:
        return [run(rows)]
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
    # Outside the handler: the traceback holds on to what the failed pass took.
    if len(rows) == 1:
        raise ModelError(NO_ROOM)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return [part for half in np.array_split(rows, 2) for part in in_halves(half, run)]
