"""What a recipe asks of this machine, or of its tuning method, that they may not have: said before
any row is read."""

from __future__ import annotations

import torch

from equipoise.errors import EquipoiseError, MissingExtraError, SettingsError
from equipoise.models.config import ModelConfig, TrainConfig

_EXTRAS = {"mlflow": "track"}
"""Trackers that one of our extras installs."""


def check_able(model: ModelConfig, config: TrainConfig) -> None:
    """Raises SettingsError naming every tracker that nobody knows or that is not installed,
    arithmetic that the device has not, and what the method has no use or no place for."""
    faults = [fault for name in config.track for fault in _tracker_faults(name)]
    if config.precision == "fp16" and not torch.cuda.is_available():
        faults.append("train.precision: fp16 needs a GPU; take auto, bf16 or float32")
    if config.l2_sp and model.method == "head":
        faults.append(
            "train.l2_sp: holds on to the weights of the body, of which method head trains none; "
            "leave it out, or take another method, such as light"
        )
    if config.gradient_checkpointing and model.method == "prefix":
        # A layer that is computed anew has no place for keys and values that came before it.
        faults.append(
            "train.gradient_checkpointing: PEFT's prefix tuning can't be computed twice; leave it "
            "off, or take another method, such as lora"
        )
    if faults:
        raise SettingsError(*faults)


def _tracker_faults(name: str) -> tuple[str, ...]:
    from transformers.integrations.integration_utils import (
        INTEGRATION_TO_CALLBACK,
        get_available_reporting_integrations,
    )

    if name not in INTEGRATION_TO_CALLBACK:
        known = ", ".join(sorted(INTEGRATION_TO_CALLBACK))
        return (f"train.track: no tracker {name!r}; known are {known}",)
    if name in get_available_reporting_integrations():
        return ()
    try:
        INTEGRATION_TO_CALLBACK[name]()
    except (RuntimeError, ImportError, AssertionError):
        if name in _EXTRAS:
            missing: EquipoiseError = MissingExtraError(f"--track {name}", name, _EXTRAS[name])
            return missing.faults
        return (f"train.track: {name} is not installed; install it, or leave --track out",)
    return ()
