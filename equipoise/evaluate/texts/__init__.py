"""Judge written texts: measures per category and over categories, comparison, a judge model.

judge_texts(written, split="test")            every measure of a split, with 95 % intervals
compare_texts(a, b, measure="macro_bleu")     the paired difference of two models
judge_model.ask_judge(pairs, ...)             which of two texts a model finds better
"""

from equipoise.evaluate.texts.compare import TextDifference, compare_texts
from equipoise.evaluate.texts.judge import judge_texts
from equipoise.evaluate.texts.outcomes import MEASURES

__all__ = ["MEASURES", "TextDifference", "compare_texts", "judge_texts"]
