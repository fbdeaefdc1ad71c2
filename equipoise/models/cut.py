"""The cut: layers below it are frozen, their output is computed once and enters at the cut.

The model itself goes on building masks, positions and rotary tables from the token ids; only the
states that would arrive at the first trained layer are replaced, by hooks. So any architecture
whose layers stand in a list works, whatever it hands from layer to layer beside the states.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

_FINAL_NORMS = ("final_norm", "norm", "ln_f", "final_layer_norm")
"""Names under which architectures keep the norm behind the last layer."""


def find_layers(body: nn.Module, *, decoder: bool = False) -> nn.ModuleList | None:
    """The list of the model's layers, or None if it has none (ALBERT shares one layer).

    decoder  Whether `body` is the decoder of an encoder-decoder: its configuration may be that of
             both, whose plain count of layers is the encoder's.
    """
    config: Any = body.config
    own = config.get_text_config(decoder=True) if decoder else config.get_text_config()
    wanted = getattr(own, "num_hidden_layers", None)
    lists = [
        module
        for name, module in body.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == wanted
    ]
    # The outermost list is the model's own; one inside a layer would hold experts or the like.
    return lists[0] if lists and len(lists[0]) > 1 else None


def final_norms(body: nn.Module, layers: nn.ModuleList) -> list[nn.Module]:
    """The norms behind the last layer."""
    # Beside the layers, not anywhere: ModernBERT's embeddings have a norm below the cut.
    beside = next(m for m in body.modules() if layers in m.children())
    return [module for name, module in beside.named_children() if name in _FINAL_NORMS]


class Cut:
    """States can be taken out of, or put into, a model before layer `number`."""

    def __init__(self, body: nn.Module, number: int) -> None:
        layers = find_layers(body)
        if layers is None or not 0 < number < len(layers):
            raise ValueError(f"no layer {number} to cut at")
        self.layers = layers
        self.number = number
        self._states: Tensor | None = None
        self._capture: Callable[[Tensor], None] | None = None
        self._lower: list[nn.Module] = list(layers[:number])
        self._returns: int | None = None
        layers[number - 1].register_forward_hook(self._hand_on)
        layers[number].register_forward_pre_hook(self._enter, with_kwargs=True)
        self._learn_what_layers_return(body)

    @property
    def skipping(self) -> bool:
        return isinstance(self.layers[0], _Skipped)

    def skip_lower(self) -> None:
        """From now on the layers below the cut do nothing; states must be put in."""
        for i, layer in enumerate(self._lower):
            self.layers[i] = _Skipped(layer, self._returns)
        self.layers[self.number - 1].register_forward_hook(self._hand_on)

    def restore_lower(self) -> None:
        for i, layer in enumerate(self._lower):
            self.layers[i] = layer

    @contextmanager
    def entering(self, states: Tensor) -> Iterator[None]:
        """Put `states` (rows, tokens, width) in at the cut during one forward pass."""
        self._states = states
        try:
            yield
        finally:
            self._states = None

    @contextmanager
    def capturing(self, take: Callable[[Tensor], None]) -> Iterator[None]:
        """Hand the states that arrive at the cut to `take` during one forward pass."""
        self._capture = take
        try:
            yield
        finally:
            self._capture = None

    def reached(self, run: Callable[[], object]) -> Tensor:
        """The states that arrive at the cut when `run` calls the model, which is left there: what
        stands above is not computed."""

        def take(states: Tensor) -> None:
            raise _Reached(states)

        try:
            with self.capturing(take):
                run()
        except _Reached as reached:
            return reached.states
        raise AssertionError("the pass did not reach the cut")

    def trained_parameters(self, body: nn.Module) -> Iterator[nn.Parameter]:
        """Weights at and above the cut: upper layers and the final norm. Everything else, such as
        tables of relative positions that lower layers use too, must stay as it is."""
        for layer in self.layers[self.number :]:
            yield from layer.parameters()
        for norm in final_norms(body, self.layers):
            yield from norm.parameters()

    def _hand_on(self, _: nn.Module, __: Any, output: Any) -> Any:
        """The layer at the cut is called with the states that are put in. Where activations are
        computed twice, it is called with the same again in the backward pass, when `entering` is
        over and, by the version of transformers, `_enter` is asked once more."""
        if self._states is None:
            return None
        given = output[0] if isinstance(output, tuple) else output
        states = self._states.to(given.dtype)
        return (states, *output[1:]) if isinstance(output, tuple) else states

    def _enter(
        self, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        given = args[0] if args else kwargs["hidden_states"]
        if self._capture is not None:
            self._capture(given)
        if self._states is None:
            return None
        # Once more than `_hand_on`, for models that change states on their way between two layers.
        # The same tensor type as the one replaced, so that autocast and double precision hold.
        states = self._states.to(given.dtype)
        return ((states, *args[1:]), kwargs) if args else (args, kwargs | {"hidden_states": states})

    def _learn_what_layers_return(self, body: nn.Module) -> None:
        """Some architectures' layers return the states, others a tuple that starts with them."""

        def see(_: nn.Module, __: Any, output: Any) -> None:
            self._returns = len(output) if isinstance(output, tuple) else None

        hook = self.layers[0].register_forward_hook(see)
        was_training = body.training
        body.eval()
        try:
            device = next(body.parameters()).device
            with torch.no_grad():
                body(
                    input_ids=torch.ones(1, 2, dtype=torch.long, device=device),
                    attention_mask=torch.ones(1, 2, dtype=torch.long, device=device),
                )
        finally:
            hook.remove()
            body.train(was_training)


class _Reached(Exception):
    """Ends a pass that has come as far as it was needed."""

    def __init__(self, states: Tensor) -> None:
        self.states = states


class _Skipped(nn.Module):
    """Stands where a frozen layer stood and hands on what it gets."""

    def __init__(self, layer: nn.Module, returns: int | None) -> None:
        super().__init__()
        # Not as a submodule: its weights must not be counted, moved or saved with the trained ones.
        object.__setattr__(self, "_layer", (layer,))
        self._returns = returns

    def __getattr__(self, name: str) -> Any:
        # Models ask their layers for things such as `attention_type`.
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(object.__getattribute__(self, "_layer")[0], name)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        states = args[0] if args else kwargs["hidden_states"]
        return states if self._returns is None else (states, *[None] * (self._returns - 1))
