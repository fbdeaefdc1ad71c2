"""Remedies in the decision: how scores become probabilities, and probabilities a decision.

`apply.py` needs numpy only; `fit.py` fits a rule, `table.py` lists the remedies.
"""
