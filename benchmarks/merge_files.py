"""Synthetic checkpoints to merge: Llama-shaped, bf16, sharded, of a stated number of bytes.

Values are noise, as what is merged changes no time; of each sub-model's values six in ten are those
of the base, which is about what a fine-tune in bf16 leaves unmoved.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.machine import kept_states
from equipoise.merge.weights_files import TensorInfo, header_of

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 1024,
    "intermediate_size": 3072,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "vocab_size": 32_000,
    "tie_word_embeddings": False,
    "dtype": "bfloat16",
}
UNMOVED = 0.6
_TABLE = 1 << 22


@contextmanager
def checkpoints(models: int, size: int, shards: int) -> Iterator[Path]:
    """A folder where large files go, with `base` and `model0` and on; gone afterwards."""
    cache = kept_states()
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as place:
        folder = Path(place)
        write_checkpoint(folder / "base", size, shards, None)
        for number in range(models):
            write_checkpoint(folder / f"model{number}", size, shards, number)
        subprocess.run(["sync"], check=True)
        yield folder


def shapes(layers: int) -> dict[str, tuple[int, ...]]:
    wide, inner, keys = 1024, 3072, 512
    found: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (32_000, wide)}
    for k in range(layers):
        own = {
            "self_attn.q_proj.weight": (wide, wide),
            "self_attn.k_proj.weight": (keys, wide),
            "self_attn.v_proj.weight": (keys, wide),
            "self_attn.o_proj.weight": (wide, wide),
            "mlp.gate_proj.weight": (inner, wide),
            "mlp.up_proj.weight": (inner, wide),
            "mlp.down_proj.weight": (wide, inner),
            "input_layernorm.weight": (wide,),
            "post_attention_layernorm.weight": (wide,),
        }
        found |= {f"model.layers.{k}.{name}": shape for name, shape in own.items()}
    return found | {"model.norm.weight": (wide,), "lm_head.weight": (32_000, wide)}


def layers_for(size: int) -> int:
    """So that a checkpoint has about `size` bytes."""
    outside = sum(np.prod(s) for s in shapes(0).values()) * 2
    return max(
        1, round((size - outside) / (sum(np.prod(s) for s in shapes(1).values()) * 2 - outside))
    )


def write_checkpoint(folder: Path, size: int, shards: int, number: int | None) -> None:
    """number   Of the sub-model; None: the base."""
    layers = layers_for(size)
    infos = {n: TensorInfo(torch.bfloat16, shape) for n, shape in shapes(layers).items()}
    total = sum(info.bytes for info in infos.values())
    folder.mkdir(parents=True)
    config = {**CONFIG, "num_hidden_layers": layers}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    files: list[list[str]] = [[]]
    held = 0
    for name, info in infos.items():
        if held and held + info.bytes > total / shards:
            files.append([])
            held = 0
        files[-1].append(name)
        held += info.bytes
    where = {}
    bits = _bits(number)
    for k, names in enumerate(files):
        file = f"model-{k + 1:05}-of-{len(files):05}.safetensors"
        with (folder / file).open("wb") as out:
            out.write(header_of({n: infos[n] for n in names}, {"format": "pt"}))
            for name in names:
                for stretch in _stretches(infos[name].values):
                    out.write(next(bits)[:stretch].tobytes())
        where |= dict.fromkeys(names, file)
    index = {"metadata": {"total_size": total}, "weight_map": where}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")


def _stretches(values: int) -> Iterator[int]:
    for start in range(0, values, _TABLE):
        yield min(_TABLE, values - start)


def _bits(number: int | None) -> Iterator[NDArray[np.uint16]]:
    """Stretches of a table of noise, each turned otherwise; of a sub-model with its own lowest bits
    flipped at the values that moved."""
    rng = np.random.default_rng(0)
    noise = (rng.standard_normal(_TABLE, dtype=np.float32) * 0.02).view(np.uint32) >> 16
    table = noise.astype(np.uint16)
    moved = rng.random(_TABLE) >= UNMOVED
    flipped = np.where(moved, rng.integers(1, 8, _TABLE), 0).astype(np.uint16)
    turn = 0
    while True:
        turn += 7919
        found = np.roll(table, turn)
        yield (
            found if number is None else found ^ np.roll(flipped, turn * 3 + (number + 1) * 104_729)
        )
