"""What following every storage costs: simulator and allocator beside the analysis of the same graph, and ``fit`` as a process."""

import argparse
import gc
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import archcalc
from archcalc.analysis import analyse
from archcalc.analysis.memory.allocator import replay
from archcalc.analysis.memory.plan import Plan
from archcalc.analysis.memory.report import twice, usage
from archcalc.analysis.memory.simulate import simulate

DENSENET_SECONDS = 0.050  # limits, of processor time: training of DenseNet-201 with the replay
FIT_SECONDS = 1.0  # a whole process, every way of running
TIMES_ANALYSIS = 8.0  # of the same graph's analysis, in the same run: holds on any machine
GROWTH = 2.0  # of the time per node from the smallest chain to the largest
TRAINING = Plan(train=True)


def seconds(work: Callable[[], object], runs: int) -> float:
    """The median of some runs in seconds of the processor, without the collector, as the command line runs."""
    times = []
    gc.disable()
    for _ in range(runs):
        start = clock()
        work()
        times.append(clock() - start)
    gc.enable()
    gc.collect()
    return median(times)


def clock() -> float:
    """Seconds of the processor that this process and the ones it waited for have taken: what others do there counts little."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def replayed(graph: archcalc.Graph) -> None:
    """The simulator and two steps of the allocator."""
    trace = simulate(graph, TRAINING)
    replay([storage.bytes for storage in trace.storages], twice(trace))


def in_process(runs: int) -> list[str]:
    """A table of networks; the limits that are broken."""
    broken = []
    print(f"{'training':16}{'nodes':>8}{'analyse':>12}{'simulate':>12}{'+ replay':>12}{'report':>12}{'+ replay / analyse':>22}")
    for name in ("alexnet", "resnet50", "densenet201", "preact_resnet1001"):
        graph = archcalc.load(name, batch=32)
        base = seconds(lambda: analyse(graph), runs)  # noqa: B023 (run at once)
        trace, both, whole = (seconds(lambda: work(graph), runs) for work in (lambda g: simulate(g, TRAINING), replayed, report))  # noqa: B023
        ratio = both / base
        times = "".join(f"{one * 1e3:9.1f} ms" for one in (base, trace, both, whole))
        print(f"{name:16}{len(graph.nodes):8,}{times}{ratio:22.1f}")
        if ratio > TIMES_ANALYSIS:
            broken.append(f"{name}: {ratio:.1f} times as long as its analysis, limit {TIMES_ANALYSIS}")
        if name == "densenet201" and both > DENSENET_SECONDS:
            broken.append(f"{name}: {both * 1e3:.0f} ms with the replay, limit {DENSENET_SECONDS * 1e3:.0f}")
    return broken


def report(graph: archcalc.Graph) -> object:
    return usage(graph, TRAINING)


def chains(runs: int) -> list[str]:
    """Time per node over chains of residual units: linear in nodes."""
    sys.path.insert(0, str(Path(__file__).parent))
    from scale import SPEC

    per_node = {}
    with tempfile.TemporaryDirectory() as folder:
        for units in (100, 1_000, 9_999):
            file = Path(folder, f"chain{units}.yaml")
            file.write_text(SPEC.format(units=units))
            graph = archcalc.load(file)
            per_node[units] = seconds(lambda: replayed(graph), max(1, runs // units * 100)) / len(graph.nodes) * 1e6  # noqa: B023
            print(f"chain{units:<11}{len(graph.nodes):8,}{per_node[units]:24.1f} us per node, simulated and replayed")
    growth = per_node[9_999] / per_node[100]
    return [f"time per node grows {growth:.2f} times, limit {GROWTH}"] if growth > GROWTH else []


def whole_fits(runs: int) -> list[str]:
    """Whole processes of ``archcalc fit``."""
    broken = []
    for name in ("alexnet", "resnet50", "densenet201"):
        command = [sys.executable, "-m", "archcalc", "fit", name, "--memory", "24GiB", "--format", "json"]
        found = seconds(lambda: subprocess.run(command, stdout=subprocess.DEVNULL, check=True), runs)  # noqa: B023
        print(f"archcalc fit {name:12}{found:30.2f} s")
        if found > FIT_SECONDS:
            broken.append(f"archcalc fit {name}: {found:.2f} s, limit {FIT_SECONDS}")
    return broken


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("-n", "--runs", type=int, default=5, help="runs of each (default 5)")
    chosen = options.parse_args()
    broken = [*in_process(chosen.runs), *chains(chosen.runs), *whole_fits(chosen.runs)]
    sys.exit("\n".join(broken) or 0)


if __name__ == "__main__":
    main()
