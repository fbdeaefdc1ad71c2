"""Every remedy is described, in its docstring and in the guide, and the guide is true."""

import doctest
import re
from pathlib import Path

import pytest

from equipoise.remedies.conflicts import pairs_table
from equipoise.remedies.table import REMEDIES

GUIDE = Path(__file__).parents[2] / "docs" / "remedies.md"
TEXT = GUIDE.read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### `(\w+)`\n(.*?)(?=^##|\Z)", TEXT, re.MULTILINE | re.DOTALL))


def test_the_guide_has_a_section_for_each_remedy_and_no_other():
    assert list(SECTIONS) == list(REMEDIES)


@pytest.mark.parametrize("name", REMEDIES)
def test_section_and_docstring_say_all(name):
    remedy, section = REMEDIES[name], SECTIONS[name]
    docstring = remedy.function.__doc__
    for setting in remedy.settings:
        assert f"`{setting.name}`" in section, setting.name
        assert re.search(rf"\b{setting.name}\b", docstring), setting.name
        shown = {None: "none"}.get(setting.default, str(setting.default))
        assert re.search(rf"`{setting.name}` \({re.escape(shown.removesuffix('.0'))}", section), (
            f"the guide does not give {setting.name}'s default, {shown}"
        )
    for word in ("Helps", "Harms", "Source", "Shapes"):
        assert word in docstring, word
    for word in ("**Helps**", "**harms**", "Source: "):
        assert word.lower() in section.lower(), word
    # The paper is the same in table, docstring and guide.
    paper = remedy.source.replace(" et al.", "").split()[0]
    assert paper in docstring
    assert paper in section


def test_the_table_of_pairs_is_that_of_the_code():
    found = TEXT.split("<!-- pairs -->")[1].split("<!-- /pairs -->")[0].strip()
    assert found == pairs_table(), f"put this between the marks in {GUIDE.name}:\n{pairs_table()}"


def test_what_the_guide_shows_is_what_happens():
    # The file's own line ends hold for code fences: a closing fence ends an example.
    parsed = doctest.DocTestParser().get_doctest(TEXT, {}, GUIDE.name, str(GUIDE), 0)
    assert len(parsed.examples) > 8
    runner = doctest.DocTestRunner(verbose=False)
    report = []
    runner.run(parsed, out=report.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(report)
