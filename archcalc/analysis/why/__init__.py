"""Why a number: which variant, option or counting convention gives it."""

from archcalc.analysis.why.search import MOST_ANSWERS, Answer, Candidate, why

__all__ = ["MOST_ANSWERS", "Answer", "Candidate", "why"]
