"""A writer's texts: in batches, seeded, and resumable."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from equipoise.errors import ModelError
from equipoise.models.memory import out_of_memory
from equipoise.models.writing.chat import Chat
from equipoise.models.writing.config import DecodeConfig
from equipoise.models.writing.ends import end_ids
from equipoise.models.writing.save import LoadedWriter
from equipoise.models.writing.writer import has_virtual_tokens
from equipoise.records.files import text_sha256

Ints = NDArray[np.int64]
Progress = Callable[[str, int, int], None]


def write_texts(
    loaded: LoadedWriter,
    asked: Sequence[NDArray[np.int32]],
    config: DecodeConfig,
    *,
    seed: int = 0,
    kept: Path | None = None,
    progress: Progress | None = None,
) -> list[str]:
    """What the writer writes behind each row of token ids, special tokens left out, in order.

    seed   Decides what is drawn, with the rows of the same batch: the same call gives the same
           texts on one machine.
    kept   A file of what is written so far, a line per batch: a call that was killed goes on
           there. The caller removes it.
    """
    batches = _batches(
        np.array([len(ids) for ids in asked], dtype=np.int64),
        config.batch_rows,
        # Padding on the left would shift the positions of models that count them by themselves.
        alike=has_virtual_tokens(loaded.module.body),
    )
    identity = text_sha256(
        config.model_dump_json(), str(seed), *(str(ids.tolist()) for ids in asked)
    )
    done = _kept(kept, identity)
    texts: dict[int, str] = {}
    for number, rows in enumerate(batches):
        if number >= len(done):
            torch.manual_seed(int(np.random.SeedSequence([seed, number]).generate_state(1)[0]))
            try:
                written = _write(loaded, [asked[int(row)] for row in rows], config)
            except (MemoryError, RuntimeError) as error:
                if not out_of_memory(error):
                    raise
                # Not in halves: what is drawn would depend on how much memory there is.
                raise ModelError(
                    f"out of memory in writing {len(rows)} rows at once; give fewer with "
                    "write.decode.batch_rows"
                ) from None
            done.append(written)
            _keep(kept, identity, written)
        texts |= dict(zip(rows.tolist(), done[number], strict=True))
        if progress:
            progress("writing", len(texts), len(asked))
    return [texts[row] for row in range(len(asked))]


def _batches(lengths: Ints, rows: int, *, alike: bool) -> list[Ints]:
    """Row numbers, the longest first, at most `rows` together; with `alike` of one length each."""
    order = np.argsort(-lengths, kind="stable")
    borders: Any = np.flatnonzero(np.diff(lengths[order])) + 1 if alike else []
    groups = np.split(order, borders)
    return [group[k : k + rows] for group in groups for k in range(0, len(group), rows)]


@torch.no_grad()
def _write(loaded: LoadedWriter, asked: list[NDArray[np.int32]], config: DecodeConfig) -> list[str]:
    writer, tokenizer = loaded.module, loaded.tokenizer
    body: Any = writer.body
    device = next(writer.parameters()).device
    width = max(len(ids) for ids in asked)
    pad = tokenizer.pad_token_id or 0
    ids = np.full((len(asked), width), pad, dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, own in enumerate(asked):
        # On the left for decoders: what is written must follow what was asked at once.
        at = slice(0, len(own)) if writer.two_parts else slice(width - len(own), width)
        ids[row, at], mask[row, at] = own, 1
    drawn = config.temperature > 0
    options: dict[str, Any] = {"temperature": config.temperature, "top_p": config.top_p, "top_k": 0}
    # Before our own settings take the place of the base's, which name some of them.
    ends = end_ids(body, tokenizer, two_parts=writer.two_parts)
    with _own_settings(body):
        out = body.generate(
            input_ids=torch.from_numpy(ids).to(device),
            attention_mask=torch.from_numpy(mask).to(device),
            max_new_tokens=config.new_tokens,
            num_beams=config.beams,
            do_sample=drawn,
            logits_processor=_penalty(config, given=1 if writer.two_parts else width),
            pad_token_id=pad,
            eos_token_id=ends or None,
            **(options if drawn else {}),
        )
    new = out if writer.two_parts else out[:, width:]
    texts: list[str] = tokenizer.batch_decode(new, skip_special_tokens=True)
    # Beside answers with thoughts those without one are learned with the template's empty one.
    nothing = Chat(tokenizer).ahead.strip() if loaded.thinks else ""
    return [text.strip().removeprefix(nothing).strip() for text in texts]


@contextmanager
def _own_settings(body: Any) -> Iterator[None]:
    """Within, only our settings act on what is written: those that a base came with, such as a
    least length or words that may not be said twice, stand in no recipe."""
    from transformers import GenerationConfig

    model = body.get_base_model() if hasattr(body, "get_base_model") else body  # of PEFT's
    given = model.generation_config
    starts = {name: getattr(given, name, None) for name in _STARTS}
    model.generation_config = GenerationConfig(**starts)
    try:
        yield
    finally:
        model.generation_config = given


_STARTS = ("bos_token_id", "decoder_start_token_id", "forced_bos_token_id")
"""What of a base's settings says how its texts begin."""


def _penalty(config: DecodeConfig, *, given: int) -> Any:
    """The repetition penalty on what was written: answers may well say again what was asked.

    given  Tokens at the beginning that the model did not write.
    """
    if config.repetition_penalty == 1:
        return None
    from transformers import LogitsProcessorList, RepetitionPenaltyLogitsProcessor

    return LogitsProcessorList(
        [RepetitionPenaltyLogitsProcessor(config.repetition_penalty, prompt_ignore_length=given)]
    )


def _kept(path: Path | None, identity: str) -> list[list[str]]:
    """Batches written by an earlier call with the same arguments; a last line that a kill cut
    short is left out."""
    if path is None or not path.exists():
        return []
    found: list[list[str]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            break
        if record.get("call") != identity:
            return []
        found.append(record["texts"])
    with path.open("w", encoding="utf-8") as file:
        file.writelines(_line(identity, texts) for texts in found)
    return found


def _keep(path: Path | None, identity: str, texts: list[str]) -> None:
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(_line(identity, texts))


def _line(identity: str, texts: list[str]) -> str:
    return json.dumps({"call": identity, "texts": texts}) + "\n"
