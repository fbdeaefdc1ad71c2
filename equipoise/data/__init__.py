"""Rows in: read them, check them, group duplicates, split."""

from equipoise.data.check import check_rows
from equipoise.data.duplicates import Clusters, cluster_rows, find_clusters
from equipoise.data.read import read_rows
from equipoise.data.split import folds, split_table
from equipoise.data.table import ColumnNames, Table

__all__ = [
    "Clusters",
    "ColumnNames",
    "Table",
    "check_rows",
    "cluster_rows",
    "find_clusters",
    "folds",
    "read_rows",
    "split_table",
]
