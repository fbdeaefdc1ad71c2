"""The Hugging Face hub, asked once before its own client waits for it.

Where no name can be looked up or no connection made, the client tries six times for every file,
with longer and longer waits: half a minute until a mistyped name or a missing network is answered.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

_TRIES = 2
_SECONDS = 5.0
"""A hub that does not answer within this is not to be read from either."""


def reachable() -> bool:
    """Whether the hub answers at all, whatever it answers; False where HF_HUB_OFFLINE says so."""
    from huggingface_hub import constants, get_session

    if constants.HF_HUB_OFFLINE:
        return False
    for _ in range(_TRIES):
        try:
            get_session().head(constants.ENDPOINT, timeout=_SECONDS)
        except Exception:  # of whichever HTTP library the client has
            continue
        return True
    return False


@contextlib.contextmanager
def from_cache_unless(online: bool) -> Iterator[None]:
    """Within it, the hub's clients look only into their caches unless `online`."""
    if online:
        yield
        return
    import datasets.config
    from huggingface_hub import constants

    places: tuple[Any, ...] = (constants, datasets.config)
    before = [place.HF_HUB_OFFLINE for place in places]
    for place in places:
        place.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        for place, value in zip(places, before, strict=True):
            place.HF_HUB_OFFLINE = value
