"""Which of the processes of a distributed run this one is, and waiting for the others."""

from __future__ import annotations

import os

from equipoise.errors import ModelError


def process_number() -> int:
    """0 for the first, or for the only one."""
    return int(os.environ.get("RANK", "0"))


def process_count() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def wait_for_all() -> None:
    """Go on once every process has come here; at once where there is only one."""
    if process_count() > 1:
        import torch
        from accelerate import PartialState

        PartialState(cpu=not torch.cuda.is_available()).wait_for_everyone()


def check_launch() -> None:
    """Raises ModelError where a launcher asks for what no checkpoint of ours could hold."""
    if os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true":
        raise ModelError(
            "FSDP: sharded weights can't be saved or resumed yet; launch with torchrun, or with "
            "accelerate without FSDP, where every process holds the whole model"
        )
