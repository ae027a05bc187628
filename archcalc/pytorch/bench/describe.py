"""What is known of a run before it is timed: the network's numbers, and what arithmetic, bytes and memory say of it."""

import torch

from archcalc.analysis import analyse
from archcalc.analysis.roofline import Roofline
from archcalc.analysis.roofline.profile import Profile
from archcalc.analysis.timing.plan import Case
from archcalc.analysis.timing.predicted import Known, expected, known, peak_bytes
from archcalc.analysis.timing.result import Run
from archcalc.analysis.timing.work import step_macs


def known_device(device: str, profile: Profile | None) -> Known | None:
    """Return what is known of this device: its profile if there is one, else its row of the table."""
    return known(torch.cuda.get_device_name() if device == "cuda" else None, profile)


def roof_of(case: Case, profile: Profile | None) -> Roofline | None:
    """Return the case's roofline on this device, None where nothing is known of it."""
    return expected(case, known_device(case.configuration.device, profile))


def described(case: Case, roof: Roofline | None, processes: int = 1) -> Run:
    """Return a run without its times."""
    configuration, graph = case.configuration, case.graph
    return Run(
        configuration=configuration,
        title=graph.title,
        input={node.name: node.output for node in graph.inputs},
        params=analyse(graph).totals.params,
        macs=step_macs(graph, configuration.mode) * processes,
        images=configuration.batch * processes,
        predicted_peak_bytes=peak_bytes(case),
        bound_seconds=roof.bound_seconds if roof else None,
        estimate_seconds=roof.estimate_seconds if roof else None,
    )
