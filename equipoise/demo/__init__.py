"""A built-in set of support messages, so that the main job can be tried without bringing rows.

About 2,650 messages to Hearth & Harrow, a shop for home and garden that does not exist: 12 classes,
41 : 1 from the largest to the rarest that can be judged, and what real rows bring along: repeats,
wrong labels, customers who write more than once, contact details. All of it is invented, and what
was put in on purpose is listed in `planted.json`. docs/demo.md tells how the set is made.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from equipoise.errors import DataError

__all__ = ["DEMO_SETTINGS", "demo_folder"]

DEMO_SETTINGS: dict[str, Any] = {
    "remedies": ["logit_adjusted", "temperature"],
    "model": {"trained_layers": 2},
    "train": {"epochs": 3},
}
"""What the demo trains with. 41 : 1 with 14 rows in the rarest class is where adjusting the loss
helps most, and too few validation rows to fit a decision on. Fewer layers and epochs than by
default, so that it ends within minutes on a processor that has to train in float32."""


def demo_folder() -> Path:
    """The folder that holds train.csv, test.csv and planted.json.

    Both tables have the columns id, text, label, customer, channel, received (ISO 8601, to the
    minute). Name `customer` as the group, or a customer's messages may be split.
    Raises DataError if the installation lacks the files.

    >>> sorted(path.name for path in demo_folder().iterdir())
    ['planted.json', 'test.csv', 'train.csv']
    """
    folder = Path(str(files(__name__) / "support_messages"))
    if not (folder / "train.csv").is_file():
        raise DataError(
            f"{folder}: the demo's rows are missing; install equipoise again, unpacked in a folder"
        )
    return folder
