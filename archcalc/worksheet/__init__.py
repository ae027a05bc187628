r"""Worksheets: pages of hand calculations, written, read and judged.

>>> from archcalc.worksheet import judge, read
>>> page = read("227x227x3\nConvolution: 11x11x3, n=96, s=4, padding=none\nparameter = 363 x 96 = 34,848\n55x55x96")
>>> judge(page).wrong[0].because
'(11*11*3 + 1)*96 = 34,944'
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archcalc.worksheet.judging import judge
    from archcalc.worksheet.page import Claim, Finding, Judgement, Page, Said
    from archcalc.worksheet.reading import read
    from archcalc.worksheet.write import worksheet

__all__ = ["Claim", "Finding", "Judgement", "Page", "Said", "judge", "read", "worksheet"]

_HOMES = {"judge": "judging", "read": "reading", "worksheet": "write"}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: the patterns that read pages are slow to compile, and a spec needs none."""
    if name not in __all__:
        raise AttributeError(f"module archcalc.worksheet has no attribute {name}")
    from importlib import import_module

    return getattr(import_module(f"archcalc.worksheet.{_HOMES.get(name, 'page')}"), name)
