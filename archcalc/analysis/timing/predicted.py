"""What a timed run was expected to take: bytes at the peak, and seconds, in all and layer by layer, where the device is known."""

from typing import NamedTuple

from msgspec.structs import replace

from archcalc.analysis.devices import Device, find
from archcalc.analysis.memory.plan import Plan
from archcalc.analysis.memory.simulate import simulate
from archcalc.analysis.memory.trace import peak
from archcalc.analysis.roofline import Cases, Roofline, Row, roofline
from archcalc.analysis.roofline.model import network
from archcalc.analysis.roofline.precision import precision_named
from archcalc.analysis.roofline.profile import Profile
from archcalc.analysis.timing.plan import Case, Configuration
from archcalc.analysis.timing.result import TimedLayer
from archcalc.errors import UsageError

_DTYPES = {"bf16": "bfloat16", "fp16": "float16"}


class Known(NamedTuple):
    """A device whose roofline can be reckoned: a row of the table, or what was measured of this one."""

    device: Device
    profile: Profile | None = None


def known(name: str | None, profile: Profile | None = None) -> Known | None:
    """Return what is known of a device from its profile, or by the name that its driver gives it; None if nothing is."""
    if profile is not None:
        return Known(profile.device, profile)
    if name is None:
        return None
    try:
        return Known(find(name))
    except UsageError:  # not in the table: it is timed all the same, beside nothing
        return None


def expected(case: Case, known: Known | None) -> Roofline | None:
    """Return the roofline of the case, None where nothing is known of the device, or not of its arithmetic in this precision."""
    configuration = case.configuration
    unit = precision_named(configuration.dtype).unit
    if known is None or known.device.peaks.get(unit) is None:
        return None
    cases: Cases | None = None if known.profile is None else known.profile.cases(unit, configuration.layout)
    return roofline(
        case.graph,
        known.device,
        precision=configuration.dtype,
        layout=configuration.layout,
        mode=configuration.mode,
        cases=cases,
    )


def joined(rows: tuple[TimedLayer, ...], case: Case, roof: Roofline | None) -> tuple[TimedLayer, ...]:
    """Return the measured rows with their arithmetic, bytes and rates, and what the roof allows where it is known."""
    works = dict(network(case.graph, precision_named(case.configuration.dtype), case.configuration.mode))
    allowed = {row.name: row for row in roof.rows} if roof else {}
    found = []
    for row in rows:
        if not row.layers:  # fused by a compiler: whose bytes and arithmetic it is, only the compiler knows
            found.append(row)
            continue
        kernels = [work for name in row.layers for work in works.get(name, ())]
        macs = sum(work.product.macs for work in kernels if work.product is not None)
        moved = sum(work.moved for work in kernels)
        spent = row.forward_seconds + (row.backward_seconds or 0.0)
        roofs = [allowed[name] for name in row.layers if name in allowed]
        under = _roof_seconds(roof, macs, moved) if roof else None
        found.append(
            replace(
                row,
                macs=macs,
                moved_bytes=moved,
                flops_per_second=2 * macs / spent if spent else None,
                bytes_per_second=moved / spent if spent else None,
                least_seconds=sum(one.least_seconds for one in roofs) if roofs else None,
                estimate_seconds=sum(one.estimate_seconds for one in roofs) if roofs else None,
                share_of_roof=under / spent if under and spent else None,
                bound=_bound(roofs),
            )
        )
    return tuple(found)


def _roof_seconds(roof: Roofline, macs: int, moved: int) -> float:
    """Return the time at the roof itself: all bytes at the full bandwidth, or all arithmetic at the peak."""
    return max(moved / roof.device.bandwidth, 2 * macs / roof.device.peak(precision_named(roof.precision).unit))


def _bound(roofs: list[Row]) -> str | None:
    """Return what the longest of some layers is bound by."""
    bounded = [row for row in roofs if row.bound is not None]
    return max(bounded, key=lambda row: row.estimate_seconds).bound if bounded else None


def peak_bytes(case: Case) -> int:
    """Return the most bytes that live at once in tensors while the case runs."""
    return peak(simulate(case.graph, memory_plan(case.configuration))).bytes


def memory_plan(configuration: Configuration) -> Plan:
    """Return the configuration as the arithmetic of memory takes it; a pass without a step of training has no optimizer's state."""
    device = "cuda" if configuration.device == "cuda" else "cpu"
    dtype = configuration.dtype
    way = "foreach" if device == "cuda" else "forloop"
    return Plan(
        train=configuration.mode != "infer",
        dtype=_DTYPES.get(dtype, "float32"),
        amp=dtype.removeprefix("amp-") if dtype.startswith("amp-") else None,
        optimizer="momentum" if configuration.mode == "train" else "sgd",
        implementation="fused" if dtype == "amp-fp16" and device == "cuda" else way,
        rules=device,
    )
