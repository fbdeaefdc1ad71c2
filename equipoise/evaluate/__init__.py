"""Judge saved predictions: measures, intervals, calibration, confusion, comparison.

judge(predictions, split="test")     every measure of a split, with 95 % intervals
compare(a, b, measure="macro_f1")    the paired difference of two models
reliability(predictions)             calibration curves
confusion(predictions)               rows and cost per (true, decided)
most_confused(table), mistakes(predictions)
"""

from equipoise.evaluate.calibration import reliability
from equipoise.evaluate.compare import Difference, compare
from equipoise.evaluate.confusion import confusion, mistakes, most_confused
from equipoise.evaluate.judge import judge

__all__ = [
    "Difference",
    "compare",
    "confusion",
    "judge",
    "mistakes",
    "most_confused",
    "reliability",
]
