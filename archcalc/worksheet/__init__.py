r"""Worksheets: pages of hand calculations, read and judged.

>>> from archcalc.worksheet import judge, read
>>> page = read("227x227x3\nConvolution: 11x11x3, n=96, s=4, padding=none\nparameter = 363 x 96 = 34,848\n55x55x96")
>>> judge(page).wrong[0].because
'(11*11*3 + 1)*96 = 34,944'
"""

from archcalc.worksheet.judge import judge
from archcalc.worksheet.page import Claim, Finding, Judgement, Page, Said
from archcalc.worksheet.reading import read

__all__ = ["Claim", "Finding", "Judgement", "Page", "Said", "judge", "read"]
