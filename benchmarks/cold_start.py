"""How long commands take as whole processes, beside Python with the same libraries and beside torchinfo, all in one run."""

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

ROOT = Path(__file__).resolve().parent.parent
ARCHCALC = str(Path(sys.executable).with_name("archcalc"))  # the script that pip installed beside this Python
ORACLE = ROOT / "tests" / "oracle"
TORCHINFO = f"""
import sys
sys.path.insert(0, {str(ORACLE)!r})
import torchinfo
from densenet import MODELS
build, image = MODELS["densenet201"]
torchinfo.summary(build(), input_size=(1, *image))
"""
COMPLETION = {"_ARCHCALC_COMPLETE": "bash_complete", "COMP_WORDS": "archcalc summary --form", "COMP_CWORD": "2"}


@dataclass(frozen=True)
class Case:
    """One command; ``at_most`` limits its median as a multiple of the floor's."""

    name: str
    command: tuple[str, ...]
    at_most: float | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    every: int = 1  # run in one round out of so many


FLOOR = Case("python -c 'import click, yaml, json'", (sys.executable, "-c", "import click, yaml, json"))
OURS = Case("archcalc summary densenet201 --format json", (ARCHCALC, "summary", "densenet201", "--format", "json"), 3.0)
PEER = Case("torchinfo, DenseNet-201", (sys.executable, "-c", TORCHINFO), every=5)
PEER_AT_LEAST = 20.0  # times as long as ours
NOISY = 0.25  # middle half over median: from here on a verdict is worth little

CASES = (
    Case("python -c pass", (sys.executable, "-c", "pass")),
    FLOOR,
    Case("archcalc --help", (ARCHCALC, "--help"), 1.3),
    Case("archcalc, completion", (ARCHCALC,), 1.3, COMPLETION),
    Case("archcalc summary alexnet --format json", (ARCHCALC, "summary", "alexnet", "--format", "json"), 1.6),
    Case("archcalc summary alexnet", (ARCHCALC, "summary", "alexnet"), 2.6),
    OURS,
    PEER,
)


def seconds(case: Case) -> float:
    """Wall time of one whole process, from before it is started until it is gone."""
    start = time.perf_counter()
    ended = subprocess.run(
        case.command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=os.environ | case.variables, cwd=ROOT
    )
    elapsed = time.perf_counter() - start
    if ended.returncode:
        sys.exit(f"{case.name} failed with exit {ended.returncode}:\n{ended.stderr.decode()}")
    return elapsed


def measure(cases: tuple[Case, ...], rounds: int, seconds: Callable[[Case], float], order: random.Random) -> dict[str, list[float]]:
    """Times of every case. Each round runs the cases in an order of its own, so that drift and neighbours fall on all alike."""
    for case in cases:
        seconds(case)  # warm-up: bytecode and file cache
    times: dict[str, list[float]] = {case.name: [] for case in cases}
    for number in range(rounds):
        for case in order.sample(cases, len(cases)):
            if number % case.every == 0:
                times[case.name].append(seconds(case))
    return times


def broken(cases: tuple[Case, ...], times: Mapping[str, list[float]]) -> list[str]:
    """The limits that do not hold, one sentence each."""
    floor = median(times[FLOOR.name])
    sentences = []
    for case in cases:
        ratio = median(times[case.name]) / floor
        if case.at_most is not None and ratio > case.at_most:
            sentences.append(f"{case.name}: {ratio:.2f} times the floor, limit {case.at_most}")
    if PEER in cases and (slower := times_as_long(times)) < PEER_AT_LEAST:
        sentences.append(f"{PEER.name}: only {slower:.1f} times as long as archcalc, limit {PEER_AT_LEAST}")
    return sentences


def times_as_long(times: Mapping[str, list[float]]) -> float:
    """The peer's median over that of archcalc for the same network."""
    return median(times[PEER.name]) / median(times[OURS.name])


def middle_half(seconds: list[float]) -> tuple[float, float]:
    """First and third quartile."""
    if len(seconds) == 1:
        return seconds[0], seconds[0]
    low, _, high = quantiles(seconds, n=4, method="inclusive")
    return low, high


def noisy(times: Mapping[str, list[float]]) -> list[str]:
    """The cases whose times spread too far to be judged by."""
    spread = {name: middle_half(found) for name, found in times.items()}
    return [name for name, (low, high) in spread.items() if high - low > NOISY * median(times[name])]


def table(cases: tuple[Case, ...], times: Mapping[str, list[float]]) -> str:
    """One line per case: median and middle half in milliseconds, ratio to the floor, limit."""
    floor = median(times[FLOOR.name])
    lines = [f"{'':44}{'runs':>5}{'median':>12}{'middle half':>20}{'ratio':>8}{'limit':>7}"]
    for case in cases:
        middle, (low, high) = median(times[case.name]), middle_half(times[case.name])
        spread = f"{low * 1e3:.1f} to {high * 1e3:.1f}"
        limit = "" if case.at_most is None else f"{case.at_most:.1f}"
        lines.append(f"{case.name:44}{len(times[case.name]):5}{middle * 1e3:9.1f} ms{spread:>20}{middle / floor:8.2f}{limit:>7}")
    if PEER in cases:
        lines.append(f"torchinfo takes {times_as_long(times):.1f} times as long as archcalc (at least {PEER_AT_LEAST:.0f})")
    lines += [f"noisy, run again on a quiet machine: {name}" for name in noisy(times)]
    return "\n".join(lines)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("-n", "--rounds", type=int, default=25, help="rounds to run (default 25)")
    options.add_argument("--no-peer", action="store_true", help="leave torchinfo out (it takes seconds per run)")
    options.add_argument("--json", type=Path, metavar="FILE", help="write every time that was measured")
    chosen = options.parse_args()
    if not Path(ARCHCALC).exists():
        sys.exit(f"archcalc is not installed beside {sys.executable}: pip install -e '.[dev]'")
    cases = tuple(case for case in CASES if not (chosen.no_peer and case is PEER))
    times = measure(cases, chosen.rounds, seconds, random.Random(0))
    print(table(cases, times))
    if chosen.json:
        machine = {"python": platform.python_version(), "platform": platform.platform(), "cpus": os.cpu_count()}
        chosen.json.write_text(json.dumps({"machine": machine, "seconds": times}, indent=1) + "\n")
    sys.exit("\n".join(broken(cases, times)) or 0)


if __name__ == "__main__":
    main()
