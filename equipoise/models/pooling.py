"""From one state per token to one vector per row."""

from __future__ import annotations

import torch
from torch import Tensor

from equipoise.errors import ShapeError

POOLINGS = ("mean", "cls", "last", "max")


def pool(states: Tensor, mask: Tensor, rule: str) -> Tensor:
    """Pool over the tokens that `mask` marks.

    Shapes  states (rows, tokens, width), mask (rows, tokens) of 0/1. Returns (rows, width).
    Rules   mean: average of the row's tokens; cls: its first; last: its last; max: the largest
            value of each dimension. Padding may stand on either side.
    Raises  ShapeError if the shapes do not fit.
    """
    if states.shape[:2] != mask.shape:
        raise ShapeError(f"states {tuple(states.shape)} do not fit mask {tuple(mask.shape)}")
    marked = mask.bool()
    if rule == "mean":
        # where, not multiplication: padding may hold infinity, and 0 × inf is NaN.
        kept = torch.where(marked[..., None], states, torch.zeros_like(states))
        return kept.sum(1) / mask.sum(1, keepdim=True).clamp(min=1).to(states.dtype)
    if rule == "max":
        low = torch.finfo(states.dtype).min
        return torch.where(marked[..., None], states, torch.full_like(states, low)).amax(1)
    places = torch.arange(mask.shape[1], device=mask.device)
    if rule == "cls":
        place = torch.where(marked, places, mask.shape[1]).amin(1).clamp(max=mask.shape[1] - 1)
    elif rule == "last":
        place = torch.where(marked, places, 0).amax(1)
    else:
        raise ShapeError(f"unknown pooling {rule!r}; known are {', '.join(POOLINGS)}")
    return states[torch.arange(len(states), device=states.device), place]
