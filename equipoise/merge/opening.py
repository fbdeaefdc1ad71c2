"""Models opened: whole ones as they are, adapters as what they do to their base."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TypeGuard

from equipoise.errors import ModelError
from equipoise.merge.adapters import LoraSource, Nothing, is_lora
from equipoise.merge.sources import Aligned, Model, Source, configuration, source_of


def open_models(
    stack: ExitStack,
    models: Sequence[Model],
    names: Sequence[str],
    base: Model | None,
    rank: int | None,
) -> tuple[list[Source], Source | None]:
    """The sub-models and their base, which the stack closes.

    names   What to call models that have no path.
    rank    Of the adapter that is to come out; None: a whole model.

    Raises FolderError or ModelError if one can't be read, or adapters and others are mixed.
    """

    def opened(model: Model, name: str) -> Source:
        return stack.enter_context(closing(source_of(model, name)))

    folders = [Path(model) for model in models if is_adapter(model)]
    if not folders:
        if rank is not None:
            raise ModelError("rank: is of an adapter, and none of the models is one; leave it out")
        whole = [opened(model, name) for model, name in zip(models, names, strict=True)]
        return whole, None if base is None else Aligned(opened(base, "the base"), whole[0].infos)
    if len(folders) < len(models):
        raise ModelError(
            f"{folders[0]}: is an adapter, and others are whole models; give one kind, or fold the "
            "adapter into its base first (merge it alone, by average)"
        )
    below = opened(_base_of(folders) if base is None else base, "the base")
    sources = [
        stack.enter_context(closing(LoraSource(path, below, products_only=rank is not None)))
        for path in folders
    ]
    if rank is None:
        return list(sources), below
    changed = {name: sources[0].infos[name] for name in sources[0].modules}
    return list(sources), Nothing(changed, below.name)


def is_adapter(model: Model) -> TypeGuard[str | Path]:
    return isinstance(model, str | Path) and is_lora(Path(model))


def _base_of(folders: Sequence[Path]) -> str:
    """That which all name."""
    named = {str(configuration(path).get("base_model_name_or_path")) for path in folders}
    if len(named) > 1:
        raise ModelError(f"the adapters are of several bases: {', '.join(sorted(named))}")
    return named.pop()
