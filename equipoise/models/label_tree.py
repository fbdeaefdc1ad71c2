"""All labels as one prefix tree over token ids: what several begin with is computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from equipoise.records.files import text_sha256

Ids = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LabelTree:
    """The distinct beginnings of K labels, as n nodes; the root is the prompt's last token.

    A label's end is no node: nothing is written after it, so it is only ever predicted.
    """

    tokens: Ids
    """(n,) token of each node. A node stands behind its parent."""
    parents: Ids
    """(n,) node before each; -1: the prompt."""
    edge_places: Ids
    """(e,) where each token that any label has is predicted, ascending: 0 is the prompt's last
    token, i + 1 is node i."""
    edge_tokens: Ids
    """(e,) which token that is: a node's, or the end token."""
    paths: Ids
    """(K, depth + 1) numbers of a label's edges, its end token's last; filled up with -1."""
    end: int

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def depth(self) -> int:
        """Tokens of the longest label, without its end."""
        return int(self.depths.max())

    @cached_property
    def depths(self) -> Ids:
        """(n,) tokens from the prompt to each node, itself included."""
        depths = np.ones(len(self), np.int64)
        for node, parent in enumerate(self.parents):
            if parent >= 0:
                depths[node] = depths[parent] + 1
        return depths

    @cached_property
    def ancestors(self) -> NDArray[np.bool_]:
        """(n, n) whether the second node stands on the way to the first, or is the first."""
        found = np.eye(len(self), dtype=bool)
        for node, parent in enumerate(self.parents):
            if parent >= 0:
                found[node] |= found[parent]
        return found

    @cached_property
    def fingerprint(self) -> str:
        """The same for the same nodes. Two trees may list the same tokens and hang otherwise."""
        return text_sha256(str(self.tokens.tolist()), str(self.parents.tolist()))

    def label(self, k: int) -> list[int]:
        """Token ids of label k, its end token included."""
        return [int(self.edge_tokens[edge]) for edge in self.paths[k] if edge >= 0]


def make_tree(labels: Sequence[Sequence[int]], end: int) -> LabelTree:
    """The tree of distinct, non-empty labels that do not hold `end`. It does not depend on the
    order of the labels, only `paths` does."""
    written = [tuple(label) for label in labels]
    assert len(set(written)) == len(written)
    assert all(label and end not in label for label in written)
    # A beginning sorts before what goes on from it: parents come before their children.
    nodes = sorted({label[:i] for label in written for i in range(1, len(label) + 1)})
    place = {(): 0} | {node: i + 1 for i, node in enumerate(nodes)}
    edges = sorted(
        {(place[node[:-1]], node[-1]) for node in nodes} | {(place[x], end) for x in written}
    )
    number = {edge: i for i, edge in enumerate(edges)}
    paths = np.full((len(written), max(map(len, written)) + 1), -1, np.int64)
    for k, label in enumerate(written):
        for i, token in enumerate((*label, end)):
            paths[k, i] = number[place[label[:i]], token]
    return LabelTree(
        tokens=np.array([node[-1] for node in nodes], np.int64),
        parents=np.array([place[node[:-1]] - 1 for node in nodes], np.int64),
        edge_places=np.array([place_ for place_, _ in edges], np.int64),
        edge_tokens=np.array([token for _, token in edges], np.int64),
        paths=paths,
        end=end,
    )
