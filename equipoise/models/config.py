"""Settings of model and training. Written whole beside the weights they produced."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
DEFAULT_LANGUAGES = ("en",)
"""What it was trained on, wherever it comes from: a package or a cache may lack its card."""

Method = Literal[
    "light", "full", "head", "lora", "rslora", "dora", "ia3", "prefix", "prompt", "adapter"
]
METHODS: tuple[Method, ...] = (
    "light",
    "full",
    "head",
    "lora",
    "rslora",
    "dora",
    "ia3",
    "prefix",
    "prompt",
    "adapter",
)


class _Settings(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )


class ModelConfig(_Settings):
    """Which base model, and which part of it is trained."""

    name: str = Field(default=DEFAULT_MODEL, min_length=1)
    """Hub id or folder of the base model."""
    method: Method = "light"
    """How it is tuned. `light`: upper layers and a head, on cached states of the layers below."""
    head: Literal["auto", "cosine", "linear", "native", "text"] = "auto"
    """`cosine` and `linear` are ours, on pooled states, started from class means; `native` is the
    head of AutoModelForSequenceClassification; `text`: a decoder writes the label, and a class's
    score is the log-probability of its words; `auto` is cosine for `light` and `head`, else
    linear."""
    label_prompt: str = "{text}\nLabel:"
    """What `head: text` reads before the label; {text} is the row's text."""
    label_words: dict[str, str] | None = None
    """What `head: text` writes for a class, by the class's name; where nothing is said, the name
    itself, `_` as a space."""
    label_chat: bool = False
    """Put label_prompt into the tokenizer's chat template, as a user's turn."""
    pooling: Literal["auto", "mean", "cls", "last", "max"] = "auto"
    """How states become one vector; `auto`: as the model publishes, else mean (encoders) or last
    (decoders)."""
    max_tokens: PositiveInt | None = None
    """Longer rows are cut there; how many were is counted and reported. None: 128, and 512 where
    rows are written."""
    trained_layers: PositiveInt | None = None
    """Upper layers that `light` trains; None: half of them, of a classifier five at least, where
    it has so many; one at least stays frozen."""
    rank: PositiveInt = 8
    """LoRA rank, virtual tokens of prefix and prompt, or width of the bottleneck adapter / 8."""
    alpha: PositiveFloat = 16.0
    """LoRA scale: the update is multiplied by alpha / rank (alpha / √rank for rslora)."""
    dropout: float | None = Field(default=None, ge=0, lt=1)
    """Dropout everywhere in the trained model; None: as the base publishes it."""
    four_bit: bool = False
    """Load the base in 4-bit (needs bitsandbytes and a GPU); only for methods that add weights."""
    trust_remote_code: bool = False
    """Run code that a hub repository brings along. Only for repositories you trust."""

    def window(self, *, writes: bool) -> int:
        """`max_tokens`, or what it is where nobody says. Room that no row needs costs nothing."""
        return self.max_tokens or (512 if writes else 128)

    @property
    def virtual_tokens(self) -> int:
        """Tokens that the method puts in front of every row; they take up positions."""
        return self.rank if self.method in ("prefix", "prompt") else 0

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        faults = []
        if self.four_bit and self.method in ("full", "light"):
            faults.append(
                f"four_bit needs a method that adds weights, such as lora; not {self.method}"
            )
        if self.method == "head" and self.head == "native":
            faults.append("method head trains our own head on pooled vectors, not head native")
        if self.method == "adapter" and self.head == "native":
            faults.append(
                "method adapter puts layers into the base that AutoModelForSequenceClassification "
                "alone would not load with head native; use --head linear, or --method lora"
            )
        if self.trained_layers is not None and self.method != "light":
            faults.append(f"trained_layers is only for method light, not {self.method}")
        faults += self._text_faults()
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _text_faults(self) -> list[str]:
        if self.head != "text":
            named = {"label_words": self.label_words, "label_chat": self.label_chat}
            return [f"{name} is only for head text" for name, said in named.items() if said]
        faults = []
        if self.label_prompt.count("{text}") != 1:
            faults.append("label_prompt must hold {text} once, in place of the row's text")
        if self.method == "head":
            faults.append(
                "method head trains our own head on pooled vectors, and head text has none; use "
                "method light, lora or full"
            )
        if self.method in ("prefix", "prompt"):
            faults.append(
                f"method {self.method} puts virtual tokens in front of the row, where head text's "
                "tree of labels does not see them; use method light, lora or full"
            )
        return faults


class TrainConfig(_Settings):
    """How one model is trained. Written whole beside the weights it produced."""

    epochs: PositiveInt = 5
    """Passes over the rows as fed."""
    learning_rate: PositiveFloat | None = None
    """Highest rate of the body, reached when warm-up ends; None: a rate that suits the method
    (see `models.methods.LEARNING_RATES`)."""
    head_learning_rate: PositiveFloat | None = None
    """Highest rate of the head; None: as suits the method."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """How the rate falls after warm-up."""
    warmup_share: float = Field(default=0.06, ge=0, le=1)
    """Share of all steps spent warming up, 0 to 1."""
    weight_decay: NonNegativeFloat = 0.01
    """Decoupled decay of weights; not of biases, norms, heads and the factors of `ia3`."""
    l1: NonNegativeFloat = 0.0
    """Added to the loss: l1 × the sum of absolute trained weights."""
    l2_sp: NonNegativeFloat = 0.0
    """Added to the loss: l2_sp × half the sum of squares by which trained weights of the body have
    moved from where they started (L2-SP, arXiv:1802.01483): holds on to what the base knows. Not
    for `head`, which trains none."""
    clip_norm: NonNegativeFloat = 1.0
    """Largest gradient norm; 0 leaves gradients as they are."""
    batch_rows: PositiveInt = 32
    """Rows per optimizer step, over all processes."""
    device_rows: PositiveInt = 32
    """Rows held on the device at once; must divide batch_rows. Halved when memory runs out."""
    bucket_steps: PositiveInt = 16
    """Rows of similar length share a step within windows of so many steps; 1 leaves the order as
    drawn. Every step keeps its number of rows per class."""
    order: NonNegativeInt = 0
    """Number of the data order. Runs that differ in it alone train on the same rows from the same
    head, and meet them in other orders: what `equipoise train --orders` makes."""
    order_of: Literal["rows", "steps"] = "rows"
    """What another order rearranges: `rows`, or whole `steps`, each of which keeps its rows and
    only comes at another time of its epoch."""
    precision: Literal["auto", "float32", "bf16", "fp16"] = "auto"
    """Arithmetic of the body's forward and backward pass in training; weights, head, loss and all
    predictions stay in float32. `auto`: bf16 where the device is quicker in it: on GPUs, and
    on processors with tiles for it (AMX)."""
    gradient_checkpointing: bool = False
    """Compute activations twice and hold them once. Not for `prefix`."""
    choose_by: str = "last"
    """Validation measure that chooses the epoch kept: a measure's name, or `recall:CLASS`,
    `f1:CLASS`, `precision:CLASS`. `last` keeps the last epoch: when the rate falls to nothing,
    choosing among the last epochs by a few rare validation rows mostly chooses by luck."""
    patience: PositiveInt | None = None
    """Stop after so many epochs without a better choose_by; None: run all epochs."""
    track: tuple[str, ...] = ()
    """Trackers that hear of the run's training and its scores, such as mlflow, tensorboard,
    wandb."""

    @model_validator(mode="after")
    def _device_rows_divide_batch(self) -> Self:
        if self.patience is not None and self.choose_by == "last":
            raise ValueError(
                "patience: stopping early needs a measure to watch; set choose_by, as macro_f1"
            )
        if self.batch_rows % self.device_rows:
            raise ValueError(
                f"batch_rows={self.batch_rows} is not a multiple of device_rows={self.device_rows}"
            )
        return self
