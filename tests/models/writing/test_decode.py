"""Texts that a writer writes: the likeliest token at every place, the same again, and resumable."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from equipoise.models.config import ModelConfig
from equipoise.models.load import find_base
from equipoise.models.writing.build import build_writer
from equipoise.models.writing.config import DecodeConfig
from equipoise.models.writing.decode import write_texts
from equipoise.models.writing.save import LoadedWriter
from equipoise.models.writing.template import asked_tokens
from equipoise.records.rows import text_column
from equipoise.records.turns import Turn
from tests.models.writing.tiny import make_writer, random_sequences, save_writing_base


@pytest.fixture(params=["llama", "gpt2", "t5"])
def loaded(request: pytest.FixtureRequest, tmp_path: Path) -> LoadedWriter:
    writer, base = make_writer(save_writing_base(tmp_path / "base", request.param))
    writer.eval()
    return LoadedWriter(writer, base.tokenizer, 48, packs=request.param != "t5")


def asked(rows: int = 7) -> list[Any]:
    tokens = random_sequences(rows)
    return [tokens.row(k) for k in range(rows)]


def greedy(loaded: LoadedWriter, ids: Any, new: int, penalty: float = 1.0) -> str:
    """One row alone, token by token; what is written already loses by the penalty."""
    body: Any = loaded.module.body
    given = torch.from_numpy(ids.astype(np.int64))[None]
    written: list[int] = []
    for _ in range(new):
        with torch.no_grad():
            if loaded.module.two_parts:
                own = torch.tensor([[0, *written]])
                scores = body(input_ids=given, decoder_input_ids=own).logits[0, -1]
            else:
                tail = torch.tensor([written], dtype=torch.long)
                scores = body(input_ids=torch.cat([given, tail], 1)).logits[0, -1]
        for token in set(written):
            scores[token] *= penalty if scores[token] < 0 else 1 / penalty
        token = int(scores.argmax())
        if token == loaded.tokenizer.eos_token_id:
            break
        written.append(token)
    text: str = loaded.tokenizer.decode(written, skip_special_tokens=True)
    return text.strip()


def test_the_likeliest_token_whatever_rows_stand_beside(loaded: LoadedWriter) -> None:
    rows = asked()
    found = write_texts(loaded, rows, DecodeConfig(new_tokens=6, batch_rows=3))
    assert found == [greedy(loaded, ids, 6) for ids in rows]


def test_a_penalty_is_on_what_is_written_not_on_what_is_asked(loaded: LoadedWriter) -> None:
    rows = asked()
    plain = write_texts(loaded, rows, DecodeConfig(new_tokens=6))
    found = write_texts(loaded, rows, DecodeConfig(new_tokens=6, repetition_penalty=3.0))
    assert found == [greedy(loaded, ids, 6, 3.0) for ids in rows]
    assert found != plain


def test_the_settings_that_a_base_came_with_do_not_act(loaded: LoadedWriter) -> None:
    rows = asked()
    plain = write_texts(loaded, rows, DecodeConfig(new_tokens=6))
    body: Any = loaded.module.body
    theirs = {"no_repeat_ngram_size": 1, "min_length": 50, "repetition_penalty": 9.0}
    theirs |= {"bad_words_ids": [[token] for token in range(4, 30)], "num_beams": 3}
    body.generation_config.update(**theirs)
    assert write_texts(loaded, rows, DecodeConfig(new_tokens=6)) == plain
    assert body.generation_config.min_length == 50


@pytest.mark.filterwarnings("ignore:Position ids are not supported")
@pytest.mark.parametrize("method", ["prompt", "prefix"])
def test_virtual_tokens_take_positions_from_what_is_asked(method: Any, tmp_path: Path) -> None:
    """GPT-2 has no position beyond its last: 66 here, 8 of them virtual, 10 to be written."""
    folder = save_writing_base(tmp_path / "base", "gpt2")
    settings = ModelConfig(name=str(folder), method=method, rank=8, max_tokens=512)
    base = find_base(settings, writes=True)
    writer = build_writer(base, settings, 0)[0].eval()
    turns = text_column([(Turn("user", "the music " * 50),)])
    tokens = asked_tokens(turns, base, new_tokens=10)
    assert tokens.lengths.tolist() == [48]
    loaded = LoadedWriter(writer, base.tokenizer, base.max_tokens, packs=False)
    (text,) = write_texts(loaded, [tokens.row(0)], DecodeConfig(new_tokens=10))
    assert isinstance(text, str)
    with torch.no_grad():  # so that what is written depends on what is asked
        for parameter in writer.parameters():
            if parameter.requires_grad:
                parameter.add_(0.5 * torch.randn_like(parameter))
    config = DecodeConfig(new_tokens=6)
    beside = write_texts(loaded, asked(), config)
    assert beside == [write_texts(loaded, [ids], config)[0] for ids in asked()]


def test_drawn_texts_are_the_same_for_the_same_seed(loaded: LoadedWriter) -> None:
    config = DecodeConfig(new_tokens=6, temperature=1.0, top_p=0.95)
    first, again, other = (write_texts(loaded, asked(), config, seed=s) for s in (1, 1, 2))
    assert first == again
    assert first != other


def test_a_call_that_was_killed_goes_on(
    loaded: LoadedWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = DecodeConfig(new_tokens=5, temperature=0.8, batch_rows=2)
    kept = tmp_path / "written.jsonl"
    whole = write_texts(loaded, asked(), config, seed=3)

    def stop(_: str, done: int, __: int) -> None:
        if done >= 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_texts(loaded, asked(), config, seed=3, kept=kept, progress=stop)
    kept.write_text(kept.read_text() + '{"call": "cut sho')
    import equipoise.models.writing.decode as decode

    calls = []
    plain = decode._write

    def counted(*arguments: Any) -> list[str]:
        calls.append(1)
        return plain(*arguments)

    monkeypatch.setattr(decode, "_write", counted)
    assert write_texts(loaded, asked(), config, seed=3, kept=kept) == whole
    assert len(calls) == 2
    # Another call finds nothing of use there.
    assert write_texts(loaded, asked(), config, seed=4, kept=kept) != whole
