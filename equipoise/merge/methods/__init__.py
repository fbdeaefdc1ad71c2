"""The methods of merging, by name. To add one: its function, and a line here."""

from __future__ import annotations

from equipoise.merge.methods.linear import average, fisher, task_arithmetic
from equipoise.merge.methods.method import Method
from equipoise.merge.methods.selection import moved_surveys, select
from equipoise.merge.methods.slerp import angle, slerp
from equipoise.merge.methods.sparse import dare, dare_ties, lower_counts, ties, upper_counts

METHODS: dict[str, Method] = {
    "select": Method(
        select,
        "Parameter selection",
        "Ju et al. 2024, arXiv:2410.03743",
        surveys=moved_surveys,
        settings=("resamples", "tolerance", "granularity"),
        draws=True,
    ),
    "average": Method(average, "Weighted average", "Wortsman et al. 2022, arXiv:2203.05482"),
    "task_arithmetic": Method(
        task_arithmetic,
        "Task arithmetic",
        "Ilharco et al. 2023, arXiv:2212.04089",
        needs_base=True,
        settings=("scale",),
    ),
    "wise_ft": Method(
        task_arithmetic,
        "Interpolation with the base",
        "Wortsman et al. 2022, arXiv:2109.01903",
        needs_base=True,
        settings=("scale",),
        sub_models=(1, 1),
    ),
    "ties": Method(
        ties,
        "TIES",
        "Yadav et al. 2023, arXiv:2306.01708",
        needs_base=True,
        surveys=lambda _: (upper_counts, lower_counts),
        settings=("density", "scale"),
    ),
    "dare": Method(
        dare,
        "DARE",
        "Yu et al. 2024, arXiv:2311.03099",
        needs_base=True,
        settings=("density", "scale"),
        draws=True,
    ),
    "dare_ties": Method(
        dare_ties,
        "DARE with TIES' election of signs",
        "Yu et al. 2024, arXiv:2311.03099",
        needs_base=True,
        settings=("density", "scale"),
        draws=True,
    ),
    "slerp": Method(
        slerp,
        "SLERP",
        "Shoemake 1985, SIGGRAPH",
        surveys=lambda _: (angle,),
        settings=("t",),
        sub_models=(2, 2),
    ),
    "fisher": Method(
        fisher,
        "Fisher-weighted average",
        "Matena & Raffel 2022, arXiv:2111.09832",
        needs_importance=True,
    ),
}
