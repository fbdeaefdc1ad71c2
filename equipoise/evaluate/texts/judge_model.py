"""Which of two texts a model finds better, asked in both orders through any OpenAI-compatible
endpoint.

Judge models favour what stands first, so every pair is asked twice, the second time swapped; where
the two answers differ it is a tie. How often they differ, and which place is favoured, is reported,
and so is how far the verdicts are those of people, where people's are given.

Source  Zheng et al. 2023, Judging LLM-as-a-judge with MT-Bench and Chatbot Arena, arXiv:2306.05685.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from equipoise.errors import DataError, SettingsError
from equipoise.evaluate.compare import same_ids
from equipoise.evaluate.texts.agreement import agreement_of, read_human_verdicts, share_estimate
from equipoise.evaluate.texts.asking import (
    CRITERION,
    FIRST,
    SECOND,
    TIE,
    Answer,
    AnswerFile,
    Asker,
)
from equipoise.evaluate.texts.endpoint import Endpoint
from equipoise.progress import Progress, silent
from equipoise.records.judged import JudgeReport
from equipoise.records.scores import Estimate
from equipoise.records.written import Written
from equipoise.statistics.intervals import mean_of_shares


class Pair(NamedTuple):
    """Two texts written for the same."""

    id: str
    category: str
    asked: str
    a: str
    b: str
    reference: str | None = None
    cluster: int = 0
    """Pairs with one number count as one; `pairs_of` sets it."""
    weight: float = 1.0
    """Judged rows that it stands for over all rows; `pairs_of` sets it."""


def pairs_of(a: Written, b: Written) -> list[Pair]:
    """The rows of two records that both wrote a text for, in the order of `a`. Each stands for as
    many rows as its category has for each of its pairs.

    Raises  DataError if the two do not hold the same rows.
    """
    other = b.take(same_ids(a.ids, b.ids))
    both = [k for k in range(len(a)) if a.written[k] is not None and other.written[k] is not None]
    rows, paired = Counter(a.categories.tolist()), Counter(a.categories[both].tolist())
    return [
        Pair(
            id=str(a.ids[k]),
            category=str(a.categories[k]),
            asked=str(a.asked[k]),
            a=str(a.written[k]),
            b=str(other.written[k]),
            reference=str(a.references[k][0]) if len(a.references[k]) else None,
            cluster=int(a.clusters[k]),
            weight=rows[a.categories[k]] / paired[a.categories[k]],
        )
        for k in both
    ]


def ask_judge(
    pairs: Sequence[Pair],
    endpoint: Endpoint,
    *,
    answers: Path,
    criterion: str = CRITERION,
    human_verdicts: Path | None = None,
    price: tuple[float, float] | None = None,
    workers: int = 4,
    seed: int = 0,
    sleep: Callable[[float], None] = time.sleep,
    progress: Progress = silent,
) -> JudgeReport:
    """Ask about every pair in both orders.

    `endpoint`: `endpoint.endpoint_at(url, model)`. `answers`: a JSONL file to which each answer is
    added as it comes; what it holds is not asked again, so a call that was cut off goes on where
    it was. `human_verdicts`: see `agreement.read_human_verdicts`. `price`: of a million prompt and
    a million completion tokens. `seed` moves waiting times only. Two equal texts are a tie, and
    nobody is asked.

    Raises  DataError if pairs have one id, or a file is at fault or speaks of none of them;
            SettingsError; ModelError if the endpoint refuses, or does not answer at all.
    """
    if len({pair.id for pair in pairs}) < len(pairs):
        raise DataError("pairs hold an id twice; give each pair its own")
    if workers < 1:
        raise SettingsError(f"workers is {workers}; at least one must ask")
    people = None if human_verdicts is None else read_human_verdicts(human_verdicts)
    if people is not None and pairs and not any(pair.id in people for pair in pairs):
        raise DataError(
            f"{human_verdicts}: has a verdict on none of the {len(pairs)} pairs; its ids must be "
            f"theirs, such as {pairs[0].id!r}"
        )
    with AnswerFile(answers) as file:
        asker = Asker(endpoint, file, criterion, sleep, np.random.default_rng(seed))
        questions = [
            (pair, swapped) for pair in pairs if pair.a != pair.b for swapped in (False, True)
        ]
        if not all(asker.knows(_shown(*question)) for question in questions):
            endpoint.check_reached()
        pool = ThreadPoolExecutor(workers)
        given: list[Answer] = []
        try:
            for answer in pool.map(lambda q: asker.answer(_shown(*q), f"{q[0].id}"), questions):
                given.append(answer)
                progress("asking the judge", len(given), len(questions))
        finally:
            # A fatal answer ends all: what waits is not asked, what is under way is kept.
            pool.shutdown(cancel_futures=True)
    both = {
        pair.id: (given[2 * k], given[2 * k + 1])
        for k, pair in enumerate(pair for pair in pairs if pair.a != pair.b)
    }
    return _report(pairs, both, endpoint.model, people, price)


def _shown(pair: Pair, swapped: bool) -> tuple[str, str, str, str | None]:
    one, two = (pair.b, pair.a) if swapped else (pair.a, pair.b)
    return pair.asked, one, two, pair.reference


def _report(
    pairs: Sequence[Pair],
    both: dict[str, tuple[Answer, Answer]],
    model: str,
    people: dict[str, str] | None,
    price: tuple[float, float] | None,
) -> JudgeReport:
    found = {
        pair.id: verdict
        for pair in pairs
        if (verdict := _verdict(*both[pair.id]) if pair.id in both else TIE) is not None
    }
    clusters = {pair.id: pair.cluster for pair in pairs}
    members: dict[str, list[Pair]] = {}
    for pair in pairs:
        if pair.id in found:
            members.setdefault(pair.category, []).append(pair)
    categories = {name: _preference(own, found) for name, own in sorted(members.items())}
    answers = [answer for two in both.values() for answer in two]
    told = [pair for pair in both if pair in found]
    same = [len(set(_sides(*both[pair]))) == 1 for pair in told]
    decided = [(pair, one.verdict) for pair, two in both.items() for one in two]
    decided = [(pair, verdict) for pair, verdict in decided if verdict in (FIRST, SECOND)]
    prompt, completion = (
        sum(getattr(one, f"{part}_tokens") for one in answers) for part in ("prompt", "completion")
    )
    return JudgeReport(
        model=model,
        pairs=len(pairs),
        asked=len(both),
        verdicts=found,
        preference=_preference([pair for pair in pairs if pair.id in found], found),
        macro_preference=_macro(list(categories.values())),
        categories=categories,
        consistent=share_estimate(np.array(same), np.array([clusters[pair] for pair in told])),
        first_favoured=share_estimate(
            np.array([verdict == FIRST for _, verdict in decided]),
            np.array([clusters[pair] for pair, _ in decided]),
        ),
        agreement=None if people is None else agreement_of(found, people, clusters),
        refused=sum(one.verdict == "refused" for one in answers),
        unreadable=sum(one.verdict == "unreadable" for one in answers),
        unanswered=sum(one.verdict == "unanswered" for one in answers),
        asked_now=sum(one.requests for one in answers if one.new),
        prompt_tokens=prompt,
        completion_tokens=completion,
        cost=_cost(answers, price),
        spent_now=_cost([one for one in answers if one.new], price),
    )


def _sides(plain: Answer, swapped: Answer) -> tuple[str | None, str | None]:
    """The verdicts as "a", "b" or "tie"; None where there is none."""
    one = {FIRST: "a", SECOND: "b", TIE: TIE}.get(plain.verdict)
    two = {FIRST: "b", SECOND: "a", TIE: TIE}.get(swapped.verdict)
    return one, two


def _verdict(plain: Answer, swapped: Answer) -> str | None:
    one, two = _sides(plain, swapped)
    if one is None or two is None:
        return None
    return one if one == two else TIE


def _preference(pairs: Sequence[Pair], verdicts: dict[str, str]) -> Estimate:
    worth = {"a": 0.0, TIE: 0.5, "b": 1.0}
    return share_estimate(
        np.array([worth[verdicts[pair.id]] for pair in pairs]),
        np.array([pair.cluster for pair in pairs]),
        np.array([pair.weight for pair in pairs]),
    )


def _macro(each: Sequence[Estimate]) -> Estimate:
    if not each:
        return Estimate(None, why="no pair has a verdict")
    value, low, high = (
        np.array([getattr(one, side) for one in each], dtype=np.float64)
        for side in ("value", "low", "high")
    )
    return Estimate(float(value.mean()), *mean_of_shares(value, low, high), method="mover")


def _cost(answers: Sequence[Answer], price: tuple[float, float] | None) -> float | None:
    if price is None:
        return None
    return sum(
        (one.prompt_tokens * price[0] + one.completion_tokens * price[1]) / 1e6 for one in answers
    )
