"""The bundled variants by weight: those that every run builds, and those that only the slow one does."""

import pytest

import archcalc
from archcalc.spec.zoo import index

NODE_MACS = 10**7  # what a node takes besides its arithmetic, as multiply-accumulates


def weight(variant: str) -> int:
    """About how long the variant takes to build and run."""
    report = archcalc.analyse(archcalc.load(variant))
    return report.totals.macs + NODE_MACS * len(report.layers)


VARIANTS = sorted(index(), key=weight)
SMALL, LARGE = VARIANTS[: len(VARIANTS) // 2], VARIANTS[len(VARIANTS) // 2 :]
each_variant = pytest.mark.parametrize("variant", [*SMALL, *(pytest.param(name, marks=pytest.mark.slow) for name in LARGE)])


def these_and_slowly_the_others(*variants: str) -> pytest.MarkDecorator:
    """These variants on every run, and the others on the slow one."""
    others = [pytest.param(name, marks=pytest.mark.slow) for name in VARIANTS if name not in variants]
    return pytest.mark.parametrize("variant", [*variants, *others])
