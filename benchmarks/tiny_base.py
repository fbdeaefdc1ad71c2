"""A tiny Llama-shaped base for the benchmarks of generation, made from public-domain books.

    python -m benchmarks.tiny_base [--threads 2]     (within 15 minutes on 2 cores)

Nothing can be downloaded where these benchmarks run, and a base with random weights says nothing
of fine-tuning. So a byte-level BPE tokenizer of 8,192 pieces and a model of 6 layers and 4 million
parameters learn to continue the 37 training books of `books_pd`: 1.8 million tokens, once. It
writes English words in an English order, and knows nothing. It is kept out of the repository, in
benchmarks/bases/tiny; its record, with the loss on the validation books, is a stored result.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.common import Bench, Unit
from benchmarks.sets import ROOT, load_lines

TINY = ROOT / "benchmarks" / "bases" / "tiny"
"""Where the base is, once it was made."""
PIECES, WINDOW = 8_192, 512
LINE, LINES_A_STEP, STEPS = 256, 16, 440
"""Tokens a line, lines a step, steps: 1.8 million tokens."""
END = "<|end|>"
SHAPE = {
    "hidden_size": 192,
    "intermediate_size": 512,
    "num_hidden_layers": 6,
    "num_attention_heads": 6,
    "num_key_value_heads": 3,
    "tie_word_embeddings": True,
}
RATE = 2e-3
VERSION = 3
"""Stands in the settings of every unit that starts from the base: another base, another result."""


def books(split: str) -> list[str]:
    """Texts of the training or validation books."""
    return [book["text"] for book in load_lines("books_pd", split)]


def make_tokenizer(texts: list[str]) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=PIECES,
            special_tokens=[END],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, pad_token=END, model_max_length=WINDOW
    )


def run_unit(unit: Unit) -> dict[str, Any]:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    started = time.perf_counter()
    torch.manual_seed(unit.settings["seed"])
    texts = books("train")
    tokenizer = make_tokenizer(texts)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=WINDOW,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        **SHAPE,
    )
    model = LlamaForCausalLM(config)
    stream = as_lines(tokenizer, texts)
    tokenized = time.perf_counter() - started
    train(model, stream)
    TINY.parent.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(TINY)
    tokenizer.save_pretrained(TINY)
    held = as_lines(tokenizer, books("validation"))[:64]
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "tokens_trained": STEPS * LINES_A_STEP * LINE,
        "tokens_there": int(stream.numel()),
        "validation_loss": loss_of(model, held),
        "unigram_loss": unigram_loss(stream, held, len(tokenizer)),
        "tokenizing_seconds": round(tokenized, 1),
        "seconds": round(time.perf_counter() - started, 1),
    }


def as_lines(tokenizer: Any, texts: list[str]) -> Any:
    """(lines, LINE) token ids: the books' paragraphs end to end, an end token behind each. Where
    a text ends must be something that the base has met: methods that leave its embeddings alone
    could not teach it a token that stood 37 times in all."""
    import torch

    ids: list[int] = []
    for text in texts:
        paragraphs = [part for part in text.split("\n\n") if part.strip()]
        for tokens in tokenizer(paragraphs, verbose=False)["input_ids"]:
            ids += [*tokens, tokenizer.eos_token_id]
    whole = len(ids) // LINE * LINE
    return torch.tensor(ids[:whole]).reshape(-1, LINE)


def train(model: Any, stream: Any) -> None:
    """AdamW, cosine with warm-up, lines in random order; in bf16 where the processor has it."""
    import torch

    from equipoise.models.train import resolved_precision

    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.95), weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, warm_then_cosine)
    half = resolved_precision("auto") == "bf16"
    model.train()
    for step, lines in enumerate(draws(len(stream))):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
            loss = model(input_ids=stream[lines], labels=stream[lines]).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if step % 50 == 0:
            print(f"    step {step} of {STEPS}: loss {float(loss.detach()):.3f}", flush=True)
    model.eval()


def warm_then_cosine(step: int) -> float:
    warm = 30
    if step < warm:
        return (step + 1) / warm
    return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(STEPS - warm, 1)))


def draws(lines: int) -> Iterator[Any]:
    import torch

    needed = STEPS * LINES_A_STEP
    order = torch.cat([torch.randperm(lines) for _ in range(-(-needed // lines))])[:needed]
    yield from order.reshape(STEPS, LINES_A_STEP)


def loss_of(model: Any, lines: Any) -> float:
    """Nats a token."""
    import torch

    with torch.no_grad():
        losses = [float(model(input_ids=part, labels=part).loss) for part in lines.split(16)]
    return round(sum(losses) / len(losses), 4)


def unigram_loss(stream: Any, held: Any, pieces: int) -> float:
    """Nats a token of who knows only how frequent each piece is: what the base must beat."""
    import torch

    counts = torch.bincount(stream.flatten(), minlength=pieces).double() + 1
    log_share = (counts / counts.sum()).log()
    return round(float(-log_share[held.flatten()].mean()), 4)


def need_tiny_base() -> Path:
    """The base's folder. Raises FolderError if it was not made yet."""
    from equipoise.errors import FolderError

    if not (TINY / "config.json").exists():
        raise FolderError(f"{TINY}: not made yet; run python -m benchmarks.tiny_base --again")
    return TINY


BENCH = Bench(
    "tiny_base",
    units=[Unit("tiny", {"seed": 0, "steps": STEPS, "shape": SHAPE, "rate": RATE})],
    version=VERSION,
    run=run_unit,
    price_seconds=lambda _: 840.0,
    about=(__doc__ or "").strip().splitlines()[0],
)

if __name__ == "__main__":
    raise SystemExit(BENCH.main())
