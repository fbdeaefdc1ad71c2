"""Rows in: read them, check them, group duplicates, split."""

from equipoise.data.check import check_rows
from equipoise.data.read import read_rows
from equipoise.data.table import ColumnNames, Table

__all__ = ["ColumnNames", "Table", "check_rows", "read_rows"]
