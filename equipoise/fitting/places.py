"""Where in the model a remedy wants to act, and whether the tuning method has such a place."""

from __future__ import annotations

from collections.abc import Sequence

from equipoise.errors import SettingsError
from equipoise.models.config import ModelConfig, TrainConfig
from equipoise.remedies.losses.wrapping import PLACES
from equipoise.remedies.remedy import RemedySpec
from equipoise.remedies.rows.between import check_installed
from equipoise.remedies.table import REMEDIES


def check_places(model: ModelConfig, train: TrainConfig, specs: Sequence[RemedySpec]) -> None:
    """Raises SettingsError for every remedy that has no place to act in this model, and
    MissingExtraError for one that needs what is not installed."""
    faults: list[str] = []
    for spec in specs:
        faults += _second_stage_faults(model, spec)
        if spec.name in ("feature_mixup", "word_mixup") and rows_at_once(train) < 2:
            faults.append(
                f"remedy {spec.name}: mixes rows of one micro-batch, which holds one row; give "
                "train.device_rows and train.batch_rows of 2 or more, or leave the remedy out"
            )
        if PLACES.get(spec.name) == "words" and model.method == "head":
            faults.append(
                f"remedy {spec.name}: acts on words, of which method head sees only one vector per "
                "row; use another method, such as light, or feature_mixup"
            )
        if PLACES.get(spec.name) == "vectors" and model.head in ("native", "text"):
            faults.append(
                f"remedy {spec.name}: acts on the vectors that enter our own head, which head "
                f"{model.head} does not show; use head linear or cosine"
            )
        if spec.name == "word_mixup" and model.head == "text":
            faults.append(
                "remedy word_mixup: mixes rows word by word, and with head text the labels stand "
                "behind each row's last word, at another place in each; use head linear"
            )
    if faults:
        raise SettingsError(*faults)
    for spec in specs:
        if REMEDIES[spec.name].kind == "synthesise":
            check_installed(spec.name)


def rows_at_once(train: TrainConfig) -> int:
    """Rows of a micro-batch, as asked for."""
    return min(train.device_rows, train.batch_rows)


def _second_stage_faults(model: ModelConfig, spec: RemedySpec) -> list[str]:
    """Made vectors train a head and nothing below it; a native head can't be trained on vectors."""
    kind = REMEDIES[spec.name].kind
    if kind == "synthesise" and model.method not in ("head", "light"):
        return [
            f"remedy {spec.name}: makes vectors, which can train a head but not what method "
            f"{model.method} trains below it; use method light or head, or a remedy that chooses "
            "rows, such as random_oversample"
        ]
    if kind in ("synthesise", "stage") and model.head in ("native", "text"):
        return [
            f"remedy {spec.name}: trains our own head on vectors, which head {model.head} can't be "
            "trained on alone; use head cosine or linear"
        ]
    return []
