"""What holds on to the base, piece by piece: its scores, replayed rows, and general texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from equipoise.fitting.writing.general import General, general_of, general_record
from equipoise.fitting.writing.keep import Replayed, kl_wrapper, replayed_feed
from equipoise.fitting.writing.texts import read_texts
from equipoise.models.load import Base
from equipoise.models.passes import Pass
from tests.models.writing.tiny import make_feed, make_writer, random_sequences, save_writing_base


def token_loss(scores: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(scores, labels, reduction="none")


METHODS = ["full", "light", "lora", "ia3", "adapter", "prefix", "prompt"]


@pytest.mark.parametrize("method", METHODS)
def test_the_base_is_held_on_to_whatever_was_added(method: Any, tmp_path: Path) -> None:
    """What is added to the loss is how far the writer is from the base as it came: nothing until
    training has moved the weights, except where virtual tokens stand in front from the start."""
    folder = save_writing_base(tmp_path / "base", "llama")
    writer, _ = make_writer(folder, method)
    plain, _ = make_writer(folder, "full")
    writer.eval(), plain.eval()
    wrapper = kl_wrapper(writer, 1.0)
    batch = make_feed(random_sequences(6), packed=False).batch(np.arange(6))
    labels, weights, _ = (batch.pop(name) for name in ("labels", "weights", "counts"))

    @torch.no_grad()
    def added() -> Tensor:
        run = Pass(writer, writer, batch)
        rng = np.random.default_rng(0)
        found = wrapper(run, labels, weights, token_loss, rng) - token_loss(run(), labels)
        theirs, ours = F.log_softmax(plain(**batch), -1), F.log_softmax(run(), -1)
        apart = (theirs.exp() * (theirs - ours)).sum(-1)
        torch.testing.assert_close(found, apart.to(found.dtype), rtol=1e-4, atol=1e-5)
        return found

    drawn = method in ("prefix", "prompt")
    assert (float(added().abs().max()) < 1e-5) == (not drawn)
    with torch.no_grad():
        for parameter in writer.parameters():
            if parameter.requires_grad:
                parameter.add_(0.5 * torch.randn_like(parameter))
    assert float(added().mean()) > 1e-4
    assert all(p.requires_grad for n, p in writer.named_parameters() if "lora_" in n)


def test_an_encoder_decoder_reads_its_source_where_rows_are_replayed(tmp_path: Path) -> None:
    """A row weighs and reads beside replayed ones what it does alone."""
    writer, _ = make_writer(save_writing_base(tmp_path / "base", "t5"))
    writer.eval()
    own, general = (
        make_feed(random_sequences(3, seed=seed, sources=True), packed=False) for seed in (0, 7)
    )
    beside = Replayed(own, general).batch(np.array([4, 1, 3]))
    alone = own.batch(np.array([1]))
    length = int(own.lengths[1])
    first = int(general.lengths[1])

    def scores(batch: dict[str, Tensor]) -> Tensor:
        for name in ("labels", "weights", "counts"):
            batch.pop(name)
        with torch.no_grad():
            found: Tensor = writer(**batch)
        return found

    torch.testing.assert_close(scores(beside)[first : first + length], scores(alone))


def write_lines(path: Path, lines: list[dict[str, str]]) -> str:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


def read_general(path: str, base: Base, packs: bool) -> General:
    return general_of(read_texts(path, base), base, packs)


@pytest.mark.parametrize("architecture", ["t5", "bart"])
def test_general_texts_of_an_encoder_decoder_cost_what_transformers_says(
    architecture: str, tmp_path: Path
) -> None:
    """Whatever token its answers start with: BART's is another than the first of all."""
    lines = [{"prompt": "play the music", "completion": "loud music"}] * 2
    path = write_lines(tmp_path / "general.jsonl", lines)
    writer, base = make_writer(save_writing_base(tmp_path / "base", architecture))
    writer.eval()
    general = read_general(path, base, packs=False)
    found = general.losses(writer)
    body: Any = writer.body
    tokens = general.feed.tokens
    assert tokens.sources is not None
    source, own = (
        torch.from_numpy(part.row(0).astype(int))[None] for part in (tokens.sources, tokens)
    )
    with torch.no_grad():
        loss = float(body(input_ids=source, labels=own).loss)
    assert -found[0, 0] / found[0, 1] == pytest.approx(loss, rel=1e-5)


def test_every_token_of_a_long_general_text_counts(tmp_path: Path) -> None:
    """A long text has as many tokens, and bytes, under any window."""
    text = " ".join(["we play the loud music"] * 30)
    path = write_lines(tmp_path / "general.jsonl", [{"text": text}, {"text": "the band"}])
    writer, base = make_writer(save_writing_base(tmp_path / "base", "llama"))
    writer.eval()
    assert base.max_tokens == 48
    general = read_general(path, base, packs=True)
    found = general.losses(writer)
    record = general_record(general, found, found)
    assert record.rows == 2
    assert record.tokens == 5 * 30 + 2 + 2
    assert general.bytes == len(text) + len("the band")
    nats = record.loss_before * record.tokens
    assert record.bits_per_byte_after == pytest.approx(nats / np.log(2) / general.bytes)


def test_every_token_of_a_long_text_is_replayed(tmp_path: Path) -> None:
    words = [f"w{n}" for n in range(30)] + ["we", "play", "the", "loud", "music"] * 40
    path = write_lines(tmp_path / "general.jsonl", [{"text": " ".join(words)}])
    _, base = make_writer(save_writing_base(tmp_path / "base", "llama"))
    texts = read_texts(path, base)
    feed = replayed_feed(texts.read, base, make_feed(random_sequences(2), weigh="row"))
    assert feed.weigh == "row"
    assert feed.lengths.max() <= base.max_tokens == 48
    assert len(feed) > 4
    assert feed.tokens.learned_lengths.sum() == texts.whole.learned_lengths.sum() == 230 + 1
    assert texts.notes == []


def test_what_an_encoder_decoder_can_not_read_of_general_texts_is_told(tmp_path: Path) -> None:
    long = {"prompt": " ".join(["play the music"] * 30), "completion": "loud music"}
    path = write_lines(tmp_path / "general.jsonl", [long, long | {"prompt": "play it"}])
    _, base = make_writer(save_writing_base(tmp_path / "base", "t5"))
    (note,) = read_texts(path, base).notes
    assert "general.jsonl: " in note
    assert "1 rows lost the beginning of what is asked" in note
