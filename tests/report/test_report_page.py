"""The page as a whole: complete, well formed, self-contained, and deaf to what texts say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from html_check import Page, read_page
from make_run import make_run

from equipoise.errors import FolderError
from equipoise.records.scores import read_scores
from equipoise.report import write_report
from equipoise.report.page import REPORT, TEMPLATES
from equipoise.report.read import read_run
from equipoise.report.sections.classes import classes_section
from equipoise.report.sections.rows import rows_section
from equipoise.report.words import interval, number

TWELVE = tuple(f"topic_{k:02d}" for k in range(12))
MANY = tuple(f"intent_{k:03d}" for k in range(151))
COSTS = {"unit": "EUR", "default": 2, "costs": {"topic_01": {"topic_00": 500}}}

RUNS = {
    "two classes": {"names": ("ham", "spam")},
    "twelve classes": {"names": TWELVE},
    "no test split": {"test": False},
    "no baselines": {"baselines": ()},
    "lost baseline": {"lost": ("vectors",)},
    "only tfidf": {"baselines": ("tfidf",)},
    "no intervals": {"differences": {"plain": (0.1, None, None), "tfidf": (0.2, None, None)}},
    "deferred": {"defer": 7},
    "deferred and costs": {"names": TWELVE, "defer": 7, "costs": COSTS, "unknown": 2},
    "unknown labels": {"unknown": 3},
    "no texts": {"texts": False},
    "no history": {"history": False},
    "no remedies": {"remedies": False, "baselines": ("tfidf",)},
    "groups": {"groups": "customer 12"},
    "few rows": {"judged_rows": 4},
}


@pytest.mark.parametrize("settings", RUNS.values(), ids=RUNS.keys())
def test_every_kind_of_run_gives_a_well_formed_page(tmp_path, settings):
    page = read_page(write_report(make_run(tmp_path / "run", **settings)))
    assert page.faults == []
    for title in ("Verdict", "The rows", "What was done", "The result", "Every class",
                  "Calibration", "Confusion", "Training", "Rows it gets wrong", "What it cost",
                  "Run it again"):  # fmt: skip
        assert title in page.text


def test_many_classes_and_rows_stay_below_2_mb(tmp_path):
    folder = make_run(
        tmp_path / "run", names=MANY, judged_rows=5500, imbalance=300, text="<&>\"'" * 200
    )
    path = write_report(folder)
    assert path.stat().st_size < 2_000_000
    page = read_page(path)
    assert page.faults == []
    rows = {name for name in MANY if name in page.text.replace("_ ", "_")}
    assert rows == set(MANY)


@pytest.mark.slow
def test_two_thousand_classes_stay_below_2_mb_and_the_rarest_are_shown(tmp_path):
    names = tuple(f"intent_{k:04d}" for k in range(2000))  # the most frequent first
    path = write_report(
        make_run(tmp_path / "run", names=names, judged_rows=600, imbalance=300, baselines=())
    )
    assert path.stat().st_size < 2_000_000
    page = read_page(path)
    assert page.faults == []
    said = "The 1,800 most frequent classes are left out here; "
    assert page.text.count(f"{said}run.json has them all.") == 2  # the rows, and one remedy
    assert page.text.count(f"{said}scores.json has them all.") == 1
    scores = read_scores(path.parent / "scores.json").classes
    order = sorted(names, key=lambda name: (scores[name].trained, scores[name].rows, name))
    run = read_run(path.parent)
    assert [row.name for row in classes_section(run, ()).rows] == order[:200]
    assert {line.name for line in rows_section(run).lines} == set(order[:200])


def test_the_same_folder_gives_the_same_bytes(tmp_path):
    folder = make_run(tmp_path / "run")
    first = write_report(folder).read_bytes()
    assert write_report(folder).read_bytes() == first


def test_it_is_written_beside_the_run(tmp_path):
    folder = make_run(tmp_path / "run")
    assert write_report(folder) == folder / REPORT


def test_an_unfinished_run_is_refused(tmp_path):
    folder = make_run(tmp_path / "run")
    (folder / "run.json").unlink()
    with pytest.raises(FolderError, match="unfinished"):
        write_report(folder)
    assert not (folder / REPORT).exists()


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style></script><svg/onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "a\x00b\x1b[31m\u202egnp.exe",
    "&lt;b&gt;&amp;",
    "' onmouseover='alert(1)",
    "]]><!--",
]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_what_users_wrote_is_inert_wherever_it_stands(tmp_path, hostile):
    clean = make_run(tmp_path / "clean")
    folder = make_run(
        tmp_path / "run",
        names=(hostile, f"other {hostile}", "plain"),
        text=hostile,
        groups=hostile,
        source=f"data/{hostile}.csv",
        costs={"unit": hostile, "default": 1},
        unknown=1,
    )
    path = write_report(folder)
    page, expected = read_page(path), read_page(write_report(clean))
    assert page.faults == []
    kinds = {tag for tag, _ in page.elements}
    assert kinds - {tag for tag, _ in expected.elements} <= {"wbr"}
    assert len(page.all("script")) == 1
    assert page.all("img") == []
    html = path.read_text(encoding="utf-8")
    assert "\x00" not in html
    assert "\u202e" not in html
    if hostile == "&lt;b&gt;&amp;":
        assert hostile in page.text  # shown as written, not as what it would mean


def test_a_lone_surrogate_is_replaced(tmp_path):
    """Parquet can't hold one, but JSON can."""
    folder = make_run(tmp_path / "run")
    manifest = folder / "run.json"
    record = json.loads(manifest.read_text(encoding="utf-8"))
    record["notes"] = ["half a letter: \ud800"]
    manifest.write_text(json.dumps(record), encoding="utf-8")
    assert "half a letter: \N{REPLACEMENT CHARACTER}" in read_page(write_report(folder)).text


def test_the_policy_names_exactly_the_style_and_the_script(tmp_path):
    import base64
    import hashlib

    html = write_report(make_run(tmp_path / "run")).read_text(encoding="utf-8")
    metas = Page(html).all("meta")
    policy = next(m["content"] for m in metas if m.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for tag, rule in (("style", "style-src"), ("script", "script-src")):
        (inline,) = re.findall(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
        assert f"{rule} 'sha256-{digest}'" in policy
    assert not re.search(r"(https?:)?//[a-z]", html.replace("http-equiv", ""))
    assert "url(" not in html
    assert "@import" not in html


def test_printed_figures_are_those_of_the_scores(tmp_path):
    folder = make_run(tmp_path / "run", names=TWELVE, judged_rows=400)
    page = read_page(write_report(folder))
    scores = read_scores(folder / "scores.json")
    everything = [("", scores.measures), *((n, c.measures) for n, c in scores.classes.items())]
    for of, measures in everything:
        for name, value in measures.items():
            shown = number(value.value, name)
            bounds = interval(value.low, value.high, name)
            assert shown in page.text, (of, name)
            if bounds != "—":
                assert f"{shown} {bounds}" in page.text, (of, name)
            else:
                assert value.why in page.text, (of, name)
    for name in ("plain", "tfidf", "vectors"):
        theirs = read_scores(folder / "baselines" / name / "scores.json").measures["macro_f1"]
        shown = f"{number(theirs.value)} {interval(theirs.low, theirs.high)}"
        assert shown in page.text


def test_landmarks_language_and_skip_link(tmp_path):
    page = read_page(write_report(make_run(tmp_path / "run")))
    for landmark in ("header", "nav", "main", "footer"):
        assert len(page.all(landmark)) == 1
    assert page.all("html") == [{"lang": "en"}]
    first_link = page.all("a")[0]
    assert first_link == {"class": "skip", "href": "#content"}
    assert page.all("main")[0]["id"] == "content"
    # What scrolls by itself can be reached and is named.
    for attrs in page.all("div"):
        if "scroll" in (attrs.get("class") or "").split():
            assert attrs["tabindex"] == "0"
            assert attrs["aria-labelledby"]


def test_without_a_script_the_surest_mistakes_are_still_there(tmp_path):
    folder = make_run(tmp_path / "run", names=TWELVE, judged_rows=600, text="the message")
    page = read_page(write_report(folder))
    rows = [attrs for attrs in page.all("tr") if "data-class" in attrs]
    shown = [attrs for attrs in rows if "hidden" not in attrs]
    assert len(shown) == 25
    assert len(rows) > 25
    assert "hidden" in page.all("p")[[a.get("id") for a in page.all("p")].index("mistake-filter")]
    assert {attrs["data-class"] for attrs in rows} == {
        o["value"] for o in page.all("option") if o["value"]
    }


def _palette(css: str) -> tuple[dict[str, str], dict[str, str]]:
    light, dark = re.findall(r":root \{(.*?)\}", css, re.DOTALL)[:2]
    found = [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", part)) for part in (light, dark)]
    return found[0], found[0] | found[1]


def _contrast(one: str, other: str) -> float:
    """WCAG 2.2 contrast ratio."""

    def luminance(colour: str) -> float:
        parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_colours_meet_wcag_aa(scheme):
    css = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    colours = _palette(css)[scheme]
    texts = [(ink, paper) for paper in ("paper", "raised")
             for ink in ("ink", "muted", "accent", "good", "mixed", "bad")]  # fmt: skip
    texts += [("on-pale", f"{hue}{k}") for hue in "rw" for k in range(1, 6)]
    texts += [("on-deep", f"{hue}{k}") for hue in "rw" for k in range(6, 9)]
    for ink, paper in texts:
        assert _contrast(colours[ink], colours[paper]) >= 4.5, (ink, paper)
    marks = [(name, "paper") for name in ("run", "plain", "wrong", "train", "validation", "test")]
    marks += [("ink", name) for name in ("run", "plain", "unsure")]
    for mark, ground in marks:
        assert _contrast(colours[mark], colours[ground]) >= 3, (mark, ground)


def test_templates_ship_with_the_package():
    names = {path.name for path in Path(TEMPLATES).iterdir()}
    assert {"report.html", "report.css", "report.js", "_verdict.html"} <= names
