"""Rows beside the base that is to read them: everything that is wrong with them, at once.

Some faults only the base's tokenizer shows. They are looked for as soon as rows turn out faulty by
themselves, so that nobody mends a file twice; and they are told by the numbers that rows have in
their files, not by those in a split.
"""

from __future__ import annotations

from typing import Any

from equipoise.data.check import check_rows
from equipoise.data.check_written import special_token_faults
from equipoise.data.table import Table
from equipoise.errors import DataError, EquipoiseError, ModelError
from equipoise.fitting.kinds import Kind
from equipoise.models.load import Base, find_base
from equipoise.models.writing.chat import special_tokens
from equipoise.recipe import Recipe
from equipoise.records.rows import Rows


def checked_rows(table: Table, recipe: Recipe, kind: Kind[Any]) -> list[str]:
    """The warnings of `check_rows`; raises its faults together with those that the base shows. Its
    weights, which may take long to come, are not waited for."""
    try:
        return check_rows(table, keep_texts=recipe.keep_texts)
    except DataError as error:
        raise DataError(*error.faults, *_shown_by_base(table, recipe, kind)) from None


def base_for(table: Table, recipe: Recipe, kind: Kind[Any]) -> Base:
    """The base, for rows that are sound by themselves. Raises ModelError as `find_base`; DataError
    with all that its tokenizer shows of them if a text holds special tokens."""
    base = find_base(recipe.model, writes=kind.writes)
    if table_marks(table, recipe, base):
        raise DataError(*kind.row_faults(table, recipe, base))
    return base


def refusal(
    error: EquipoiseError, table: Table, recipe: Recipe, base: Base, kind: Kind[Any]
) -> EquipoiseError:
    """What to raise in place of `error`, with which a split was refused: all faults of all rows."""
    return type(error)(*(kind.row_faults(table, recipe, base) or error.faults))


def _shown_by_base(table: Table, recipe: Recipe, kind: Kind[Any]) -> list[str]:
    if not (kind.writes or recipe.model.head == "text"):
        return []  # an encoder's tokenizer has nothing to say
    try:
        base = find_base(recipe.model, writes=kind.writes, weights=False)
    except ModelError as error:
        return [*error.faults]
    return kind.row_faults(table, recipe, base)


def table_marks(table: Table, recipe: Recipe, base: Base) -> list[str]:
    """`mark_faults` of every part of a table whose rows become prompts."""
    if not (table.written or recipe.model.head == "text"):
        return []
    return [
        fault
        for part, rows in table.parts.items()
        for fault in mark_faults(rows, recipe, base.tokenizer, table.where(part))
    ]


def mark_faults(rows: Rows, recipe: Recipe, tokenizer: Any, where: str | None = None) -> list[str]:
    """Special tokens in the rows' texts, a line each, unless the recipe allows them."""
    if recipe.write.special_tokens == "allow":
        return []
    return special_token_faults(rows, special_tokens(tokenizer), where)
