"""A judge model, asked through a server on the same machine: orders, failures, resuming, costs."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from equipoise.errors import DataError, ModelError, SettingsError
from equipoise.evaluate.texts.agreement import agreement_of, read_human_verdicts
from equipoise.evaluate.texts.asking import messages_of, verdict_in
from equipoise.evaluate.texts.endpoint import Endpoint, endpoint_at
from equipoise.evaluate.texts.judge_model import Pair, ask_judge, pairs_of
from equipoise.records.judged import JudgeReport
from tests.evaluate.texts.judge_server import SECRET, Server, chat, longer_wins, texts_of
from tests.evaluate.texts.make_written import drawn, made

PAIRS = [
    Pair("p1", "x", "ask", "short", "much longer", cluster=1),
    Pair("p2", "x", "ask", "a", "bb", cluster=2),
    Pair("p3", "y", "ask", "the longest", "c", cluster=3),
    Pair("p4", "y", "ask", "equal", "equal", cluster=4),
]


def asked(server: Server, folder: Path, **options: Any) -> JudgeReport:
    chosen: dict[str, Any] = {"answers": folder / "answers.jsonl", "sleep": lambda s: None}
    given = {**chosen, **options}
    endpoint = given.pop("endpoint", None) or endpoint_at(server.url, "judge", timeout_seconds=5)
    return ask_judge(given.pop("pairs", PAIRS), endpoint, **given)


class TestVerdicts:
    def test_both_orders(self, server: Server, tmp_path: Path) -> None:
        found = asked(server, tmp_path, price=(2.0, 10.0))
        assert found.verdicts == {"p1": "b", "p2": "b", "p3": "a", "p4": "tie"}
        assert len(server.requests) == found.asked_now == 6
        assert sorted(map(texts_of, server.requests))[:2] == [["a", "bb"], ["bb", "a"]]
        assert found.preference.value == pytest.approx(2.5 / 4)
        assert found.categories["y"].value == pytest.approx(0.25)
        assert found.macro_preference.value == pytest.approx((1 + 0.25) / 2)
        assert found.consistent.value == 1
        assert found.first_favoured.value == 0.5
        assert (found.prompt_tokens, found.completion_tokens) == (600, 60)
        assert found.cost == found.spent_now == pytest.approx((600 * 2 + 60 * 10) / 1e6)
        assert json.loads(json.dumps(found.to_json()))["categories"]["x"]["value"] == 1

    def test_what_stands_first_wins(self, server: Server, tmp_path: Path) -> None:
        server.behave = lambda n, body: chat('{"winner": "1"}')
        found = asked(server, tmp_path)
        assert set(found.verdicts.values()) == {"tie"}
        assert found.consistent.value == 0
        assert found.first_favoured.value == 1
        assert found.preference.value == 0.5

    def test_question(self) -> None:
        system, user = messages_of(("why?", "one {x}", "two", "right"), "which is kinder")
        assert "which is kinder" in system["content"]
        assert '{"winner": "1"}' in system["content"]
        assert user["content"].startswith("<request>\nwhy?\n</request>\n\n<a_right_text>\nright")
        assert texts_of({"messages": [system, user]}) == ["one {x}", "two"]

    @pytest.mark.parametrize(
        ("text", "verdict"),
        [
            ('{"winner": "1"}', "first"),
            ('Let me see {"x": 1} … {"winner": 2}.', "second"),
            ('{"winner": "TIE"}', "tie"),
            ('{"winner": "text_1"}', "first"),
            ('{"winner": "Text 2"}', "second"),
            ('{"winner": 2, "why": "uses {x}"}', "second"),
            ('{"verdict": {"winner": "1"}}', "first"),
            ('{"winner": 1}, so {"winner": 1}', "first"),
            ('{"winner": "1"} no, {"winner": "2"}', None),
            ('Of {"winner": "1"}, {"winner": "2"} or {"winner": "tie"} I take', None),
            ('{"a": ' * 5000, None),
            ('{"winner": "3"}', None),
            ('{"winner": ', None),
            ("1", None),
            ("", None),
        ],
    )
    def test_reading(self, text: str, verdict: str | None) -> None:
        assert verdict_in(text) == verdict

    def test_pairs_of_records(self) -> None:
        a, b = drawn(6, share=0.5), drawn(6, share=0.1)
        found = pairs_of(a, b.take(np.arange(6)[::-1]))
        assert [pair.a for pair in found] == a.written.tolist()
        assert [pair.b for pair in found] == b.written.tolist()
        assert len(pairs_of(a, made([None] * 6, [()] * 6))) == 0


class TestFailures:
    def test_busy_then_fine(self, server: Server, tmp_path: Path) -> None:
        waits: list[float] = []

        def busy(number: int, body: dict[str, Any]) -> Any:
            if number == 0:
                return 429, {"Retry-After": "7"}, b""
            return (503, {}, b"") if number == 1 else longer_wins(number, body)

        server.behave = busy
        found = asked(server, tmp_path, pairs=PAIRS[:1], workers=1, sleep=waits.append)
        assert found.verdicts == {"p1": "b"}
        assert waits[0] == 7
        assert 1 <= waits[1] <= 3
        assert found.unanswered == 0

    def test_bad_json_is_tried_again(self, server: Server, tmp_path: Path) -> None:
        broken = [b"<html>", b'{"choices": []}', b"[1]", b'{"choices": [{"message": null}]}']
        server.behave = lambda n, body: broken[n] if n < 4 else longer_wins(n, body)
        found = asked(server, tmp_path, pairs=PAIRS[:1], workers=1)
        assert found.verdicts == {"p1": "b"}

    def test_no_verdict_is_asked_again_and_paid(self, server: Server, tmp_path: Path) -> None:
        server.behave = lambda n, body: chat("hm") if n < 2 else longer_wins(n, body)
        found = asked(server, tmp_path, pairs=PAIRS[:1], workers=1)
        assert found.verdicts == {"p1": "b"}
        assert found.asked_now == 4
        assert found.prompt_tokens == 400

    def test_never_a_verdict(self, server: Server, tmp_path: Path) -> None:
        server.behave = lambda n, body: chat("I like both")
        found = asked(server, tmp_path, pairs=PAIRS[:2])
        assert found.verdicts == {}
        assert found.unreadable == 4
        assert found.preference.value is None
        assert found.consistent.why

    @pytest.mark.parametrize(
        "refusal",
        [
            chat(None, refusal="I won't."),
            {"choices": [{"message": {"content": ""}, "finish_reason": "content_filter"}]},
        ],
    )
    def test_refused(self, server: Server, tmp_path: Path, refusal: Any) -> None:
        server.behave = lambda n, body: refusal
        found = asked(server, tmp_path, pairs=PAIRS[:1])
        assert found.refused == 2
        assert found.asked_now == 2
        assert found.verdicts == {}

    def test_timeout(self, server: Server, tmp_path: Path) -> None:
        release = threading.Event()

        def slow(number: int, body: dict[str, Any]) -> Any:
            if number == 0:
                release.wait(5)
            return longer_wins(number, body)

        server.behave = slow
        endpoint = endpoint_at(server.url, "judge", timeout_seconds=0.5)
        found = asked(server, tmp_path, pairs=PAIRS[:1], workers=1, endpoint=endpoint)
        release.set()
        assert found.verdicts == {"p1": "b"}

    def test_some_never_answered(self, server: Server, tmp_path: Path) -> None:
        server.behave = lambda n, body: (
            (500, {}, b"") if "a" in texts_of(body) else longer_wins(n, body)
        )
        found = asked(server, tmp_path, workers=1)
        assert found.unanswered == 2
        assert set(found.verdicts) == {"p1", "p3", "p4"}
        server.behave = longer_wins
        again = asked(server, tmp_path)
        assert again.asked_now == 2
        assert again.unanswered == 0

    def test_gone(self, server: Server, tmp_path: Path) -> None:
        server.behave = lambda n, body: (500, {}, b"")
        many = [Pair(f"p{k}", "x", "", f"{k}", f"{k} {k}") for k in range(50)]
        endpoint = endpoint_at(server.url, "judge", tries=2)
        with pytest.raises(ModelError, match="did not answer 8 questions in a row"):
            asked(server, tmp_path, pairs=many, endpoint=endpoint)
        assert len(server.requests) < 50

    def test_refusing_endpoint_never_shows_the_key(self, server: Server, tmp_path: Path) -> None:
        told = f"Incorrect API key provided: {SECRET}".encode()
        server.behave = lambda n, body: (401, {}, told)
        with pytest.raises(ModelError, match=r"answered 401.*\*\*\*.*OPENAI_API_KEY") as caught:
            asked(server, tmp_path, workers=1)
        assert SECRET not in str(caught.value)
        assert len(server.requests) == 1

    def test_redirects_are_not_followed(self, server: Server, tmp_path: Path) -> None:
        server.behave = lambda n, body: (302, {"Location": server.url + "/elsewhere"}, b"")
        with pytest.raises(ModelError, match="302"):
            asked(server, tmp_path, workers=1)


class TestResuming:
    def test_answers_are_kept(self, server: Server, tmp_path: Path) -> None:
        first = asked(server, tmp_path, price=(1, 1))
        again = asked(server, tmp_path, price=(1, 1))
        assert again.asked_now == 0
        assert again.spent_now == 0
        assert again.cost == first.cost
        assert again.verdicts == first.verdicts
        assert len(server.requests) == 6

    def test_a_line_cut_off(self, server: Server, tmp_path: Path) -> None:
        first = asked(server, tmp_path)
        path = tmp_path / "answers.jsonl"
        path.write_bytes(path.read_bytes()[:-20])
        again = asked(server, tmp_path)
        assert again.asked_now == 1
        assert again.verdicts == first.verdicts
        assert asked(server, tmp_path).asked_now == 0

    def test_another_question_is_asked(self, server: Server, tmp_path: Path) -> None:
        asked(server, tmp_path)
        assert asked(server, tmp_path, criterion="which is shorter").asked_now == 6
        other = endpoint_at(server.url, "another")
        assert asked(server, tmp_path, endpoint=other).asked_now == 6

    def test_equal_questions_are_paid_once(self, server: Server, tmp_path: Path) -> None:
        twice = [PAIRS[0], PAIRS[0]._replace(id="copy")]
        found = asked(server, tmp_path, pairs=twice, workers=1)
        assert found.asked_now == 2
        assert found.prompt_tokens == 200
        assert set(found.verdicts.values()) == {"b"}

    def test_the_key_is_sent_and_never_stored(self, server: Server, tmp_path: Path) -> None:
        endpoint = endpoint_at(server.url, "judge")
        found = asked(server, tmp_path, endpoint=endpoint)
        assert set(server.keys) == {f"Bearer {SECRET}"}
        stored = (tmp_path / "answers.jsonl").read_text() + json.dumps(found.to_json())
        assert SECRET not in stored + repr(endpoint)


class TestPeople:
    def test_kappa_is_scikit_learns(self) -> None:
        rng = np.random.default_rng(0)
        names = np.array(["a", "b", "tie"])
        ours = dict(enumerate(names[rng.integers(0, 3, 60)]))
        theirs = {k: v if rng.random() < 0.6 else "tie" for k, v in ours.items()}
        ours, theirs = ({str(k): str(v) for k, v in d.items()} for d in (ours, theirs))
        found = agreement_of(ours, theirs, {k: int(k) for k in ours})
        expected = cohen_kappa_score(list(ours.values()), list(theirs.values()))
        assert found.kappa.value == pytest.approx(expected)
        assert found.kappa.low < expected < found.kappa.high
        assert found.pairs == 60

    def test_always_the_same_is_not_certain(self) -> None:
        ours = {f"{k}": "a" if k % 2 else "b" for k in range(20)}
        found = agreement_of(ours, ours, {k: int(k) for k in ours})
        assert found.kappa.value == found.kappa.high == 1
        assert 0.5 < found.kappa.low < 0.9

    def test_undefined(self) -> None:
        same = {"p": "a", "q": "a"}
        assert agreement_of(same, same, {"p": 0, "q": 1}).kappa.value is None
        assert agreement_of(same, {}, {}).pairs == 0

    def test_file(self, server: Server, tmp_path: Path) -> None:
        csv = tmp_path / "people.csv"
        csv.write_text("id,verdict\np1,B\np2,a\np3,a\nelse,tie\n")
        found = asked(server, tmp_path, human_verdicts=csv)
        assert found.agreement is not None
        assert found.agreement.pairs == 3
        assert found.agreement.same.value == pytest.approx(2 / 3)
        lines = tmp_path / "people.jsonl"
        lines.write_text('{"id": "p1", "verdict": "b"}\n\n{"id": "p2", "verdict": "tie"}\n')
        assert read_human_verdicts(lines) == {"p1": "b", "p2": "tie"}

    def test_faults_all_at_once(self, tmp_path: Path) -> None:
        path = tmp_path / "people.jsonl"
        path.write_text('{"id": "p", "verdict": "b"}\n{"id": "p", "verdict": "a"}\nx\n[1]\n{}\n')
        with pytest.raises(DataError) as caught:
            read_human_verdicts(path)
        assert len(caught.value.faults) == 4
        with pytest.raises(DataError, match="can't be read"):
            read_human_verdicts(tmp_path / "none.csv")


class TestSettings:
    @pytest.mark.parametrize(
        ("url", "fault"),
        [
            ("example.com/v1", "no address"),
            ("ftp://example.com", "no address"),
            ("https://me:pass@example.com/v1", "user or password"),
            ("http://example.com/v1", "in the clear"),
        ],
    )
    def test_addresses(self, url: str, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", SECRET)
        with pytest.raises(SettingsError, match=fault):
            endpoint_at(url, "judge")

    def test_without_a_key(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("OPENAI_API_KEY")
        endpoint = endpoint_at(server.url + "/chat/completions", "judge")
        question = messages_of(("", "a", "b", None), "which is longer")
        endpoint.ask(question, sleep=lambda s: None, jitter=lambda: 0.5)
        assert server.keys == [None]

    def test_pairs_twice(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="twice"):
            ask_judge([PAIRS[0]] * 2, Endpoint("http://x", "m"), answers=tmp_path / "a")
