"""A merge from tensor to tensor, a stretch at a time, on several threads.

What is held at a time: of each thread one stretch of the base, of one sub-model, and of what the
method keeps. So memory does not grow with the number of sub-models, nor with their size.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from numpy.typing import NDArray
from torch import Tensor

from equipoise.merge.alike import copied, tied_names
from equipoise.merge.methods import METHODS
from equipoise.merge.methods.linear import average
from equipoise.merge.methods.method import Known, Part, Place, Survey
from equipoise.merge.sinks import Counted, Sink
from equipoise.merge.sources import Source
from equipoise.merge.weights_files import TensorInfo

STRETCH = 1 << 17
"""Values at a time: what a race holds of them, 20 bytes each, stays in a core's cache."""

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, eq=False)
class SubModel:
    key: str
    """By which it is drawn; the order of keys is the order in which sub-models are gone through."""
    source: Source
    weight: float = 1.0
    importance: Source | None = None
    """Tensors of the same names and shapes, each value >= 0."""


@dataclass(frozen=True, eq=False)
class Asked:
    """What is to be done."""

    method: str
    sub_models: Sequence[SubModel]
    """In the order of their keys."""
    base: Source | None
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    rank: int | None = None
    """Of the adapter that comes out, where the sub-models are adapters; None: a whole model."""

    @property
    def infos(self) -> Mapping[str, TensorInfo]:
        return self.sub_models[0].source.infos


def merge_tensors(
    asked: Asked,
    sink: Sink,
    *,
    threads: int,
    stretch: int = STRETCH,
) -> dict[str, Counted]:
    """Merge every tensor into the sink. Returns what was counted of each: "values", what its method
    counts, and "how" where it was not the method asked for: "copied" (whole numbers), or "average"
    (the base lacks it, and the method needs one).

    stretch   Values at a time, at least a row where rows are drawn; changes no result.
    """
    work = _Work(asked, stretch)
    tally = _Tally(sink)
    with ThreadPoolExecutor(threads) as pool:
        for group in work.groups():
            names = [name for name in group if name not in sink.done]
            known = work.surveyed(group, pool, threads) if names else {}

            def merge(place: Place, known: Known = known) -> None:
                values, counts = work.merged(place, known)
                sink.write(place.tensor, place.start, values)
                tally.add(place, counts)

            places = [place for name in names for place in work.places(name, work.stretch_of(name))]
            tally.expect(places)
            each(pool, threads, places, merge)
    return tally.found


class _Work:
    """What is done at a place."""

    def __init__(self, asked: Asked, stretch: int) -> None:
        self.asked, self.stretch = asked, stretch
        self.method = METHODS[asked.method]
        self.settings = dict(asked.settings)
        self.granularity = self.settings.get("granularity", "element")
        sources = [one.source for one in asked.sub_models]
        self.copied = set(copied(sources[0]))
        self.tied = tied_names(sources)
        first = asked.sub_models[0]
        if asked.method == "select":
            self.settings["equal"] = all(
                one.weight == first.weight and one.importance is None for one in asked.sub_models
            )
            self._drop_idle_limit()
        if self.method.draws:
            self.settings["seed"] = asked.seed
        self.surveys: tuple[Survey, ...] = self.method.surveys(self.settings)

    def _drop_idle_limit(self) -> None:
        """With K sub-models there is nobody left after K - 1 more draws."""
        limit = self.settings.get("resamples")
        if limit is not None and limit >= len(self.asked.sub_models) - 1:
            del self.settings["resamples"]

    def groups(self) -> list[list[str]]:
        """Tensors that are surveyed together; without a survey all are one group."""
        names = list(self.asked.infos)
        if not self.surveys:
            return [names]
        if self.granularity != "layer":
            return [[name] for name in names]
        layers: dict[str, list[str]] = {}
        for name in names:
            layers.setdefault(layer_of(name), []).append(name)
        return list(layers.values())

    def stretch_of(self, name: str) -> int:
        if self.granularity != "row":
            return self.stretch
        row = max(1, math.prod(self.asked.infos[name].shape[1:]))
        return max(1, self.stretch // row) * row

    def places(self, name: str, stretch: int) -> Iterator[Place]:
        info = self.asked.infos[name]
        drawn_as = self.tied.get(name, name)
        if self.granularity == "layer":
            drawn_as = layer_of(drawn_as)
        for start in range(0, max(info.values, 1), stretch):
            stop = min(start + stretch, info.values)
            yield Place(name, drawn_as, info.shape, start, stop)

    def surveyed(self, group: Sequence[str], pool: ThreadPoolExecutor, threads: int) -> Known:
        """Always by stretches of one size, so that sums of floats are the same whatever the
        stretches of the merge."""
        known: dict[str, NDArray[Any]] = {}
        places = [place for n in group if self.uses(n) for place in self.places(n, STRETCH)]
        for survey in self.surveys:
            given = {"known": dict(known)} if known else {}

            def look(place: Place, survey: Survey = survey, given: Any = given) -> Known:
                return survey(place, self.base(place), self.parts(place), **given, **self.settings)

            for found in each(pool, threads, places, look):
                for name, value in found.items():
                    known[name] = known[name] + value if name in known else value
        return known

    def uses(self, name: str) -> bool:
        """Whether the tensor is merged by the method asked for."""
        lacks_base = self.method.needs_base and not self.has_base(name)
        return name not in self.copied and not lacks_base

    def has_base(self, name: str) -> bool:
        return self.asked.base is not None and name in self.asked.base.infos

    def base(self, place: Place) -> Tensor | None:
        """In the type of the models, which holds each value of the base's."""
        if not self.has_base(place.tensor):
            return None
        assert self.asked.base is not None
        found = self.asked.base.read(place.tensor, place.start, place.stop)
        return found.to(self.asked.infos[place.tensor].dtype)

    def parts(self, place: Place) -> Iterator[Part]:
        where = (place.tensor, place.start, place.stop)
        for one in self.asked.sub_models:
            trust = None if one.importance is None else one.importance.read(*where)
            yield Part(one.key, one.source.read(*where), one.weight, trust)

    def merged(self, place: Place, known: Known) -> tuple[Tensor, Counted]:
        if place.tensor in self.copied:
            found = self.asked.sub_models[0].source.read(place.tensor, place.start, place.stop)
            return found, {"values": found.numel(), "how": "copied"}
        if not self.uses(place.tensor):
            values, counts = average(place, None, self.parts(place))
            return values, {**counts, "how": "average"}
        given = {"known": known} if known else {}
        values, counts = self.method.merge(
            place, self.base(place), self.parts(place), **given, **self.settings
        )
        return values, dict(counts)


class _Tally:
    """Counts per tensor, and which of them are whole."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.found: dict[str, Counted] = dict(sink.done)
        self._missing: Counter[str] = Counter()
        self._counts: dict[str, Counted] = {}
        self._lock = threading.Lock()

    def expect(self, places: Iterable[Place]) -> None:
        self._missing.update(place.tensor for place in places)

    def add(self, place: Place, counts: Counted) -> None:
        with self._lock:
            own = self._counts.setdefault(place.tensor, {})
            for name, count in counts.items():
                own[name] = own.get(name, 0) + count if isinstance(count, int) else count
            self._missing[place.tensor] -= 1
            if not self._missing[place.tensor]:
                self.found[place.tensor] = self._counts.pop(place.tensor)
                self.sink.finished(place.tensor, self.found[place.tensor])


def each(
    pool: ThreadPoolExecutor, threads: int, tasks: Sequence[T], work: Callable[[T], R]
) -> list[R]:
    """work(task) of every task, in their order. The first that fails stops all."""
    left, lock = iter(enumerate(tasks)), threading.Lock()
    found: dict[int, R] = {}
    failed = threading.Event()

    def take() -> None:
        while not failed.is_set():
            with lock:
                number, task = next(left, (-1, None))
            if number < 0:
                return
            try:
                found[number] = work(task)  # type: ignore[arg-type]
            except BaseException:
                failed.set()
                raise

    for running in [pool.submit(take) for _ in range(threads)]:
        running.result()
    return [found[number] for number in range(len(tasks))]


def layer_of(name: str) -> str:
    """The name up to its first number: what repeats is a layer; of others the tensor's.

    >>> layer_of("model.layers.11.mlp.up_proj.weight")
    'model.layers.11'
    >>> layer_of("model.norm.weight")
    'model.norm.weight'
    """
    words = name.split(".")
    for k, word in enumerate(words):
        if word.isdigit():
            return ".".join(words[: k + 1])
    return name
