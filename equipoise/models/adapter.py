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

    def behind(self, _: nn.Module, __: Any, output: Any) -> Any:
        """The hook behind a layer. A method, not a closure: a copy of the model goes through the
        copied adapters."""
        if isinstance(output, tuple):
            return (self(output[0]), *output[1:])
        return self(output)


def add_bottlenecks(
    body: nn.Module, narrow: int, generator: torch.Generator, *, decoder: bool = False
) -> nn.ModuleList:
    """Hook one adapter behind every layer of `body`; the caller registers and trains them.

    decoder  Whether `body` is the decoder of an encoder-decoder.

    Raises ModelError if the model's layers do not stand in a list.
    """
    layers = find_layers(body, decoder=decoder)
    if layers is None:
        raise ModelError(
            f"{type(body).__name__}: its layers do not stand in a list, so adapters have no place; "
            "use method lora or full"
        )
    width: int = body.config.get_text_config().hidden_size  # type: ignore[operator, union-attr]
    adapters = [Bottleneck(width, narrow, generator) for _ in layers]
    for layer, adapter in zip(layers, adapters, strict=True):
        layer.register_forward_hook(adapter.behind)
    return nn.ModuleList(adapters)
