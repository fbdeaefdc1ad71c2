"""Bottleneck adapters: a narrow detour behind every layer.

No library offers them on today's transformers, and they are short.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equipoise.errors import ModelError
from equipoise.models.cut import find_layers


class Bottleneck(nn.Module):
    """states + up(gelu(down(states))); `up` starts at zero, so that training starts at the base.

    Source  Houlsby et al. 2019, arXiv:1902.00751; one per layer behind its output, as Pfeiffer et
            al. 2021, arXiv:2005.00247, found enough.
    """

    def __init__(self, width: int, narrow: int, generator: torch.Generator) -> None:
        super().__init__()
        self.down = nn.Linear(width, narrow)
        self.up = nn.Linear(narrow, width)
        nn.init.normal_(self.down.weight, std=width**-0.5, generator=generator)
        nn.init.zeros_(self.down.bias)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, states: Tensor) -> Tensor:
        """(rows, tokens, width) to the same shape."""
        out: Tensor = states + self.up(F.gelu(self.down(states)))
        return out


def add_bottlenecks(body: nn.Module, narrow: int, generator: torch.Generator) -> nn.ModuleList:
    """Hook one adapter behind every layer of `body`; the caller registers and trains them.

    Raises ModelError if the model's layers do not stand in a list.
    """
    layers = find_layers(body)
    if layers is None:
        raise ModelError(
            f"{type(body).__name__}: its layers do not stand in a list, so adapters have no place; "
            "use method lora or full"
        )
    width: int = body.config.get_text_config().hidden_size  # type: ignore[operator, union-attr]
    added = nn.ModuleList(Bottleneck(width, narrow, generator) for _ in layers)
    for layer, adapter in zip(layers, added, strict=True):
        layer.register_forward_hook(_detour(adapter))
    return added


def _detour(adapter: nn.Module) -> Any:
    def hook(_: nn.Module, __: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (adapter(output[0]), *output[1:])
        return adapter(output)

    return hook
