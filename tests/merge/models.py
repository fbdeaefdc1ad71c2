"""Small state dicts that stand for fine-tunes of one base."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

State = dict[str, Tensor]
SHAPES = {
    "model.layers.0.w": (7, 5),
    "model.layers.0.b": (5,),
    "model.layers.1.w": (3, 2, 4),
    "s": (),
}


def base_state(dtype: torch.dtype = torch.float32, seed: int = 0) -> State:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(shape, generator=generator).to(dtype) for name, shape in SHAPES.items()
    }


def sub_models(base: State, count: int, *, moved: float = 0.6, seed: int = 1) -> list[State]:
    """Each with a share of its values moved from the base."""
    generator = torch.Generator().manual_seed(seed)

    def tuned(value: Tensor) -> Tensor:
        step = torch.randn(value.shape, generator=generator).to(value.dtype)
        stays = torch.rand(value.shape, generator=generator) >= moved
        return torch.where(stays, value, value + step)

    return [{name: tuned(value) for name, value in base.items()} for _ in range(count)]


def flat(state: State) -> Tensor:
    return torch.cat([value.double().reshape(-1) for value in state.values()])


def same(one: State, other: State) -> bool:
    """To the bit."""
    return list(one) == list(other) and all(
        a.dtype == b.dtype and a.shape == b.shape and _bits(a) == _bits(b)
        for a, b in zip(one.values(), other.values(), strict=True)
    )


def _bits(value: Tensor) -> bytes:
    return value.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def among(state: State, models: Sequence[State]) -> bool:
    """Whether every value is that of one of the models."""
    return all(
        bool(torch.stack([model[name] == value for model in models]).any(0).all())
        for name, value in state.items()
    )
