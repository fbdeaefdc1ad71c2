"""Docs can't drift: all that can be asked for has its place, and what they show works."""

from __future__ import annotations

import doctest
import json
import random
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from equipoise.costs import read_costs
from equipoise.errors import SettingsError
from equipoise.recipe import Recipe, make_recipe, read_recipe
from equipoise.remedies.table import REMEDIES
from tests.cli_runner import run_cli
from tests.make_docs import COMMANDS, PAGE, filled
from tests.models.tiny import WORDS
from tests.models.writing.thinking import save_thinking_base

ROOT = Path(__file__).parents[1]
PAGES = [*sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("*.md"))]
CLI = PAGE.read_text(encoding="utf-8")
IDS = [str(path.relative_to(ROOT)) for path in PAGES]
TRAIN = {"classifier.md", "writing.md"}
"""Pages whose examples train models: a quarter of a minute and more each."""
EXAMPLES = [
    path for path in PAGES if ">>> " in path.read_text(encoding="utf-8") and path.name not in TRAIN
]


def prose(path: Path) -> str:
    """The page without its code."""
    text = path.read_text(encoding="utf-8")
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))


def anchors(path: Path) -> set[str]:
    """What `#...` may name on a page: its headings, as mkdocs and GitHub write them."""
    found = set()
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    for title in re.findall(r"^#+ +(.+)$", text, flags=re.M):
        plain = re.sub(r"[^\w\- ]", "", title.replace("`", "").lower())
        found.add(re.sub(r" +", "-", plain.strip()))
    return found


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_relative_links_lead_somewhere(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        if not path.exists() or (anchor and path.suffix == ".md" and anchor not in anchors(path)):
            broken.append(target)
    assert not broken


@pytest.mark.parametrize("page", EXAMPLES, ids=[path.name for path in EXAMPLES])
def test_examples_give_what_they_show(page: Path) -> None:
    found = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert found.attempted
    assert not found.failed


def test_every_page_is_in_the_menu_and_the_menu_leads_to_pages() -> None:
    menu = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    named = {page for entry in menu for page in entry.values()}
    assert named == {path.name for path in (ROOT / "docs").glob("*.md")}


def test_the_tables_of_options_and_settings_are_those_of_the_code() -> None:
    assert filled(CLI) == CLI, "run: python -m tests.make_docs"


def test_every_command_has_its_section_and_its_line() -> None:
    sections = re.findall(r"^## (\w+)$", CLI, flags=re.M)
    assert set(COMMANDS) <= set(sections)
    for command in COMMANDS:
        assert f"| `equipoise {command}" in CLI, command


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_says_what_it_does(command: str) -> None:
    section = re.split(r"^## ", CLI.split(f"\n## {command}\n")[1], flags=re.M)[0]
    for option in COMMANDS[command].params:
        if option.opts[0].startswith("--"):
            assert f"| `{option.opts[0]}` |" in section
            assert option.help, option.opts
    assert COMMANDS[command].help


def test_every_setting_says_what_it_does() -> None:
    def check(model: Any, prefix: str) -> None:
        for name, field in model.model_fields.items():
            if hasattr(field.annotation, "model_fields"):
                check(field.annotation, f"{prefix}{name}.")
            else:
                assert f"| `{prefix}{name}` |" in CLI
                assert field.description, f"{prefix}{name}"

    check(Recipe, "")


def test_every_remedy_has_its_section() -> None:
    guide = (ROOT / "docs" / "remedies.md").read_text(encoding="utf-8")
    for remedy in REMEDIES:
        assert f"### `{remedy}`" in guide


def test_every_exit_code_is_explained() -> None:
    codes = re.findall(r"^\| (\d+) \|", CLI, flags=re.M)
    assert codes == ["0", "1", "2", "130"]


def shown_commands() -> list[str]:
    """Every `$ equipoise ...` line of all pages, continued lines joined."""
    lines = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        lines += re.findall(r"^(?:\$ )?(equipoise [a-z][^\n]*)$", text, flags=re.M)
    return sorted(set(lines))


@pytest.mark.parametrize("line", shown_commands())
def test_commands_that_are_shown_can_be_read(line: str) -> None:
    """Names, options and types are right; nothing is run."""
    _, name, *args = shlex.split(line, comments=True)
    assert COMMANDS[name].make_context(name, args).info_name == name


README = (ROOT / "README.md").read_text(encoding="utf-8")
WRITING = README.split("\n## Models that write\n")[1].split("\n## ")[0]


def examples_that_write() -> dict[str, list[str]]:
    """What README trains models that write on, and the options with which it does."""
    lines = re.findall(r"^\$ equipoise train (\S+) (.*)$", WRITING, flags=re.M)
    return {rows: shlex.split(options) for rows, options in lines}


def shown_line(rows: str, options: list[str]) -> dict[str, Any]:
    """A row of the example: the line that the page shows of the file, or columns as named."""
    shown = re.search(rf"A line of `{re.escape(rows)}`: `(.*)`", WRITING)
    if shown is not None:
        found: dict[str, Any] = json.loads(shown[1])
        return found
    return {options[options.index(option) + 1]: "..." for option in ("--prompt", "--completion")}


@pytest.mark.parametrize("rows", examples_that_write())
def test_examples_of_models_that_write_pass_their_check(rows: str, tmp_path: Path) -> None:
    """With the line of rows that is shown, words in place of its dots, and a tiny base."""
    options = examples_that_write()[rows]
    base = save_thinking_base(tmp_path / "base", positions=1024)
    options[options.index("--model") + 1] = str(base)
    line = json.dumps(shown_line(rows, options))
    rng, path = random.Random(0), tmp_path / "rows.jsonl"
    lines = [
        re.sub(r"\.\.\.", lambda _: " ".join(rng.choices(WORDS, k=6)), line) for _ in range(40)
    ]
    kinds = "--category" in options
    if kinds:
        column = options[options.index("--category") + 1]
        lines = [
            json.dumps(json.loads(one) | {column: f"kind {number % 2}"})
            for number, one in enumerate(lines)
            if column in json.loads(one)
        ]
    path.write_text("\n".join(lines), encoding="utf-8")
    done = run_cli("train", path, *options, "--check", "--json")
    assert done.code == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found["classes"]["train"]) == ({"kind 0", "kind 1"} if kinds else {"all"})
    assert found["recipe"]["model"]["max_tokens"] == 512
    assert sum(found["cut_rows"].values()) == 0


def yaml_blocks() -> dict[str, str]:
    found = re.findall(r"^```yaml\n# (\w+\.yaml)\n(.*?)^```", CLI, flags=re.M | re.S)
    return dict(found)


def test_files_that_are_shown_can_be_read(tmp_path: Path) -> None:
    blocks = yaml_blocks()
    assert set(blocks) == {"costs.yaml", "prior.yaml", "recipe.yaml"}
    for name, content in blocks.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    costs = read_costs(tmp_path / "costs.yaml")
    assert costs.unit == "EUR"
    assert costs.matrix(("fraud", "legitimate")).tolist() == [[0, 500], [5, 0]]
    recipe = make_recipe(read_recipe(tmp_path / "recipe.yaml"))
    assert recipe.train.choose_by == "recall:fraud"
    prior = read_recipe(tmp_path / "prior.yaml")
    assert make_recipe({"prior": prior}).prior == prior


def test_remedies_of_a_recipe_are_texts_or_mappings(tmp_path: Path) -> None:
    """As the guide to remedies says; a mapping is the same recipe as its text, to the id."""
    (tmp_path / "recipe.yaml").write_text(
        "remedies:\n- name: smote\n  most_made: null\n- {name: near_miss, version: 2}\n"
        "- {name: temperature}\n- 'focal:gamma=2'\n"
    )
    found = make_recipe(read_recipe(tmp_path / "recipe.yaml"))
    text = ("smote:most_made=None", "near_miss:version=2", "temperature", "focal:gamma=2")
    assert found.remedies == text
    assert found.id == make_recipe({"remedies": text}).id
    faulty = [{"name": "focal", "gama": 1}, {"gamma": 2}, 3, "focsl"]
    with pytest.raises(SettingsError) as caught:
        make_recipe({"remedies": faulty})
    assert len(caught.value.faults) == 4
    assert "did you mean gamma?" in caught.value.faults[0]


def test_a_recipe_survives_being_written_and_read(tmp_path: Path) -> None:
    """Class names and numbers that YAML would rather read as something else."""
    from equipoise.recipe import write_recipe

    awkward = ["no", "on", "null", "010", "1e3", "~", "=", "2024-01-01", "a: b", "<<", " x"]
    costs = {"costs": {name: {"yes": 1e-7} for name in awkward}}
    given = make_recipe(
        {"costs": costs, "prior": dict.fromkeys(awkward, 0.5), "train": {"learning_rate": 1e-5}}
    )
    write_recipe(tmp_path / "recipe.yaml", given)
    assert make_recipe(read_recipe(tmp_path / "recipe.yaml")) == given
