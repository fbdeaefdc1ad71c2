"""Which column plays which role, and whether rows are classified or written."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterable, Set
from dataclasses import replace
from typing import Any, Literal

from equipoise.data.joined_columns import JOINED, columns_in
from equipoise.data.raw import LISTED, RawPart
from equipoise.data.table import TEST, VALIDATION, ColumnNames
from equipoise.errors import SettingsError

Task = Literal["auto", "classify", "write"]
Form = Literal["classify", "pairs", "messages", "plain"]
"""What a row holds: text and class; prompt and completion; a conversation; a text that is learned
whole. All but the first are written."""
Roles = dict[str, tuple[str, ...]]
"""Role to its columns; only "group" may have several."""

_ALIASES = {
    "text": "sentence content body message utterance document review comment query question "
    "description input tweet headline title",
    "label": "labels category intent class target topic sentiment tag y output",
    "id": "uid uuid key index",
    "weight": "weights sample_weight importance",
    "parent": "parent_id parents origin made_from original source_id",
    "cost": "amount costs value price sum total",
    "time": "date datetime timestamp created created_at day",
    "group": "groups customer user author document source region",
    "prompt": "question instruction input query source article request",
    "completion": "response answer output target reply summary chosen",
    "messages": "conversations conversation dialogue dialog chat turns",
    "category": "categories kind topic task type class label source domain",
    "references": "reference refs targets answers gold",
}
_CONVERSATIONS = ("messages", "conversations")
_OPTIONAL = ("weight", "id", "time", "cost", "parent")


def form_of_rows(
    columns: ColumnNames, raw: dict[str, RawPart], task: Task, need_labels: bool
) -> Form:
    """What the rows hold, by what was named and else by what is there.

    Rows are written if `task` says so, if a prompt, completion or messages column was named, or if
    such columns are there and no label column is named or there.

    Raises SettingsError if the names do not fit the task.
    """
    first = next(iter(raw.values())).cells
    named = columns.written()
    if task == "classify" and named:
        raise SettingsError(
            f"--{next(iter(named))} names a column of rows that are written, and --task classify "
            "asks for classes; leave one of them out"
        )
    if "messages" in named:
        form: Form = "messages"
    elif {"prompt", "completion"} & set(named):
        form = "pairs"
    elif task == "classify":
        return "classify"
    elif task == "write" and columns.text != "text":
        form = "plain"
    else:
        form = _found(first, columns, task, need_labels)
    if form == "classify" and named:
        raise SettingsError(
            f"--{next(iter(named))} is for rows that are written, and these are classified "
            "(--label); take --task write, or name the --prompt and the --completion"
        )
    if form != "classify" and columns.label_separator is not None:
        raise SettingsError(
            "--label-separator divides the labels of rows that are classified; a row that is "
            "written has one category; leave it out"
        )
    return form


def _found(
    cells: dict[str, list[Any]], columns: ColumnNames, task: Task, need_labels: bool
) -> Form:
    labelled = columns.label != "label" or columns.label in cells or columns.text != "text"
    if task == "auto" and labelled:
        return "classify"
    if any(name in cells for name in _CONVERSATIONS):
        return "messages"
    if "prompt" in cells and ("completion" in cells or not need_labels):
        return "pairs"
    return "plain" if task == "write" else "classify"


def with_defaults(columns: ColumnNames, raw: dict[str, RawPart], form: Form) -> ColumnNames:
    """The names with those of columns that are taken where they are there: `id`, and where rows
    are written `prompt`, `completion`, `messages` and `category`."""
    parts = [part.cells for part in raw.values()]
    taken: dict[str, Any] = {}
    if form == "pairs":
        taken |= {"prompt": "prompt", "completion": "completion"}
    elif form == "messages":
        taken["messages"] = next((n for n in _CONVERSATIONS if n in parts[0]), "messages")
    everywhere = ("id",) if form == "classify" else ("id", "category")
    taken |= {name: name for name in everywhere if all(name in cells for cells in parts)}
    missing = {role: name for role, name in taken.items() if getattr(columns, role) is None}
    return replace(columns, **missing)


def uncategorised(columns: ColumnNames, raw: dict[str, RawPart], form: Form) -> list[str]:
    """A warning if only some parts have the column `category`, so that it is not taken."""
    held = [name for name, part in raw.items() if "category" in part.cells]
    lacking = [name for name in raw if name not in held]
    if form == "classify" or columns.category is not None or not held or not lacking:
        return []
    return [
        f"{' and '.join(held)} hold a column 'category' that {' and '.join(lacking)} lack, so that "
        "it is left out; add it there to have the categories weighed and judged"
    ]


def resolve(
    columns: ColumnNames,
    raw: dict[str, RawPart],
    form: Form,
    need_labels: bool,
    faults: list[str],
) -> dict[str, Roles]:
    """The roles of each part whose columns are there; a fault for each that should be and is not.

    With `need_labels` false what says what is right (label, completion, category, references) may
    be missing; references may in all parts but the last, by which a model is judged. Parts that
    judge or choose may lack the parents: nothing in them was made.
    """
    *_, last = raw
    answers = () if need_labels else ("label", "completion", "category", "references")
    return {
        name: _of_part(
            *(columns, part, form, faults),
            may_lack={
                *answers,
                *(() if name == last else ("references",)),
                *(("parent",) if name in (VALIDATION, TEST) else ()),
            },
        )
        for name, part in raw.items()
    }


def _of_part(
    columns: ColumnNames,
    part: RawPart,
    form: Form,
    faults: list[str],
    *,
    may_lack: Set[str],
) -> Roles:
    asked: Roles = {role: (getattr(columns, role),) for role in _READ[form]}
    asked["group"] = columns.group
    for role in (*_OPTIONAL, *(() if form == "classify" else ("category", "references"))):
        name = getattr(columns, role)
        asked[role] = () if name is None else (name,)
    if form != "classify" and columns.references is None and "references" in part.cells:
        asked["references"] = ("references",)
    found: Roles = {}
    for role, names in asked.items():
        missing = [name for name in names if name not in part.cells]
        if role in may_lack and missing:
            continue
        for name in missing:
            parts = columns_in(name) if role in JOINED else (name,)
            lacking = [column for column in parts if column not in part.cells]
            faults.append(
                f"{part.where}: has no column {' or '.join(map(repr, lacking))} for the {role}; "
                "its columns are "
                f"{_columns(part)}; name the right one with --{role}"
                f"{_guess(lacking[0], role, part.cells)}"
                f"{_or_write(part) if role == 'label' else ''}"
            )
        if names and not missing:
            found[role] = names
        if role not in may_lack and getattr(columns, role):
            faults += [fault for name in names for fault in _absent(part, name, role)]
    return found


def _absent(part: RawPart, name: str, role: str) -> Iterable[str]:
    """A fault if whole shards lack the column: a group there would be none, without a word."""
    for column in columns_in(name) if role in JOINED else (name,):
        shards = part.absent.get(column, ())
        if shards:
            more = f" (and {len(shards) - 1} more lack)" if len(shards) > 1 else ""
            yield (
                f"{shards[0]}: no row has the column {column!r} for the {role}, which other shards "
                f"have{more}; add it there, with null where a row has none"
            )


_READ: dict[Form, tuple[str, ...]] = {
    "classify": ("text", "label"),
    "pairs": ("prompt", "completion"),
    "messages": ("messages",),
    "plain": ("text",),
}
"""The roles without which a row of that form is none."""


def _or_write(part: RawPart) -> str:
    """ "; or ...": how to learn to write such rows, if they look like it."""
    prompt, completion = (_alias(role, part.cells) for role in ("prompt", "completion"))
    if prompt is not None and completion is not None:
        beside = _alias("input", part.cells)  # of an instruction, as Alpaca's rows have it
        if beside not in (None, prompt, completion):
            prompt = f"{prompt} + {beside}"
        asked = shlex.join(["--prompt", prompt, "--completion", completion])
        return f"; or say {asked}, to learn to write the one for the other"
    if "text" in part.cells:
        return "; or say --task write, to learn to write such texts"
    return ""


def _alias(role: str, present: dict[str, list[Any]]) -> str | None:
    """The column that goes by the role's name or another of it."""
    folded = {column.casefold().strip(): column for column in reversed(present)}
    found = (folded.get(name) for name in (role, *_ALIASES.get(role, "").split()))
    return next((column for column in found if column is not None), None)


def _columns(part: RawPart) -> str:
    names = [repr(name) for name in part.cells]
    more = f" and {len(names) - 2 * LISTED} more" if len(names) > 2 * LISTED else ""
    return (", ".join(names[: 2 * LISTED]) or "none") + more


def _guess(name: str, role: str, present: dict[str, list[Any]]) -> str:
    """ ", perhaps --text Body": the column that was most likely meant, if any looks like it."""
    folded = {column.casefold().strip(): column for column in reversed(present)}
    other = folded.get(name.casefold()) or _alias(role, present)
    if other is not None:
        return f", perhaps {other!r}"
    close = difflib.get_close_matches(name.casefold(), list(folded), n=1, cutoff=0.7)
    if close:
        return f", perhaps {folded[close[0]]!r}"
    if len(present) == 1:
        only = next(iter(present))
        if "|" in only:
            return "; the first line holds bars: save it as comma-separated UTF-8"
    return ""
