"""Which of the processes of a distributed run this one is, and waiting for the others."""

from __future__ import annotations

import os

from equipoise.errors import ModelError

_LAUNCHED = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
"""What a launcher tells each process of its place."""


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


def go_on_alone() -> None:
    """End the group of a distributed run: from now on the first process is the only one, and what
    it trains waits for nobody; the others end here. Nothing happens where there is only one.

    Raises SystemExit in every process but the first.
    """
    if process_count() == 1:
        return
    import torch
    from accelerate.state import AcceleratorState

    first = process_number() == 0
    wait_for_all()  # a process that leaves early breaks what the others have still to say
    torch.distributed.destroy_process_group()
    if not first:
        raise SystemExit(0)
    AcceleratorState._reset_state(reset_partial_state=True)
    for name in _LAUNCHED:
        os.environ.pop(name, None)


def check_launch() -> None:
    """Raises ModelError where a launcher asks for what no checkpoint of ours could hold."""
    if os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true":
        raise ModelError(
            "FSDP: sharded weights can't be saved or resumed yet; launch with torchrun, or with "
            "accelerate without FSDP, where every process holds the whole model"
        )
