"""What decisions cost, stated once by the person who knows, in the user's own unit.

stated.py  Costs: classes by name, as the expert says it
read.py    from a cost file or a dict to Costs
table.py   CostTable: the same as arrays, for the classes of one model
check.py   what can't be meant, and what is hardly meant
"""

from equipoise.costs.read import Classes, costs_from, read_costs
from equipoise.costs.stated import Cost, Costs, Deferral
from equipoise.costs.table import CostTable, as_table

__all__ = [
    "Classes",
    "Cost",
    "CostTable",
    "Costs",
    "Deferral",
    "as_table",
    "costs_from",
    "read_costs",
]
