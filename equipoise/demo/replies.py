"""Rows to write: messages of the demo's set, each with a short reply by its category."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

from equipoise.demo import demo_folder

REPLIES = {
    "delivery_status": (
        "Thank you for asking. We are tracing your parcel and will write to you within a day.",
        "Sorry for the wait. We have asked the carrier where your parcel is and will tell you "
        "today.",
    ),
    "return_or_refund": (
        "No problem. Your return label is in your account, and the money is back within a week.",
        "You can send it back within 30 days. We refund it as soon as it has arrived.",
    ),
    "billing_charge": (
        "We are looking at the charge now. If it is wrong, you will have the money in three days.",
        "Thank you for the details. Our billing team checks the charge and writes to you tomorrow.",
    ),
    "damaged_or_wrong_item": (
        "We are sorry that it came like this. A new one is on its way, and you may keep the old "
        "one.",
        "That should not happen. Please send us a photo, and we will send the right item at once.",
    ),
    "praise": (
        "How kind of you! We have passed your words on to the team.",
        "Thank you, that made our day. We look forward to your next visit.",
    ),
    "safety_hazard": (
        "Please stop using it at once and unplug it. Our safety team will call you within the "
        "hour.",
        "Please keep away from it and keep children away. A safety officer will call you right "
        "now.",
    ),
}
"""Category to what a good reply says, in two wordings. The shop and its replies are invented."""
MOST_TRAIN, MOST_TEST = 160, 30
"""Rows of a category: enough to show the path, few enough for half a minute."""


def write_reply_rows(folder: Path) -> Path:
    """Write train.jsonl and test.jsonl into `folder`: id, prompt, completion, category, customer,
    and in the test file both wordings as references. The same package gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, most in (("train", MOST_TRAIN), ("test", MOST_TEST)):
        lines = "".join(json.dumps(row) + "\n" for row in _rows(part, most))
        (folder / f"{part}.jsonl").write_text(lines, encoding="utf-8")
    return folder


def texts_of(folder: Path) -> list[str]:
    """Every text of the training rows in `folder`."""
    lines = (folder / "train.jsonl").read_text(encoding="utf-8").splitlines()
    return [text for row in map(json.loads, lines) for text in (row["prompt"], row["completion"])]


def _rows(part: str, most: int) -> list[dict[str, Any]]:
    taken: Counter[str] = Counter()
    rows = []
    with (demo_folder() / f"{part}.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            category = row["label"]
            if category not in REPLIES or taken[category] == most:
                continue
            wordings = REPLIES[category]
            reply = wordings[taken[category] % len(wordings)]
            taken[category] += 1
            found: dict[str, Any] = {
                "id": row["id"],
                "prompt": row["text"],
                "completion": reply,
                "category": category,
                "customer": row["customer"],
            }
            rows.append(found | ({"references": list(wordings)} if part == "test" else {}))
    return rows
