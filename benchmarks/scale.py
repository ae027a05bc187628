"""What loading and analysing cost per node, and how much memory they take, up to the largest graph a spec may have."""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

MICROSECONDS_PER_NODE = 20.0  # limits, for every size
PEAK_MB = 600.0
GROWTH = 1.5  # of the time per node from the smallest chain to the largest: linear, with room for noise

# A bottleneck of ResNet, ten nodes, so that a chain of any length is like real networks.
SPEC = """\
name: chain{units}
input: [64, 56, 56]
blocks:
  unit:
    - Add:
        main:
          - Conv2d: {{out_channels: in_channels // 4, kernel_size: 1, bias: false}}
          - BatchNorm2d
          - ReLU
          - Conv2d: {{out_channels: in_channels, kernel_size: 3, padding: 1, bias: false}}
          - BatchNorm2d
          - ReLU
          - Conv2d: {{out_channels: 4*in_channels, kernel_size: 1, bias: false}}
          - BatchNorm2d
        skip: []
    - ReLU
layers:
  - unit: {{repeat: {units}}}
"""

# Loads alexnet first: imports are the business of cold_start.py.
CHILD = """
import json, resource, sys, time
import archcalc
archcalc.analyse(archcalc.load("alexnet"))
start = time.perf_counter()
graph = archcalc.load(sys.argv[1])
loaded = time.perf_counter()
totals = archcalc.analyse(graph).totals
analysed = time.perf_counter()
unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
print(json.dumps({"nodes": len(graph.nodes), "load": loaded - start, "analyse": analysed - loaded, "peak_bytes": peak_bytes}))
"""


def measure(model: str, runs: int) -> dict[str, float]:
    """Medians over fresh processes: nodes, seconds to load and to analyse, peak bytes of the process."""
    results = [
        json.loads(subprocess.run([sys.executable, "-c", CHILD, model], stdout=subprocess.PIPE, check=True).stdout)
        for _ in range(runs)
    ]
    return {key: median(result[key] for result in results) for key in results[0]}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("-n", "--runs", type=int, default=5, help="fresh processes per model (default 5)")
    chosen = options.parse_args()
    print(f"{'':14}{'nodes':>9}{'load':>12}{'analyse':>12}{'per node':>12}{'peak':>10}")
    per_node, broken = {}, []
    with tempfile.TemporaryDirectory() as folder:
        chains = {f"chain{units}": str(Path(folder, f"chain{units}.yaml")) for units in (100, 1_000, 9_999)}
        for name, file in chains.items():
            Path(file).write_text(SPEC.format(units=name.removeprefix("chain")))
        for name, model in {**chains, "densenet201": "densenet201", "resnet1202": "resnet1202"}.items():
            found = measure(model, chosen.runs)
            per_node[name] = (found["load"] + found["analyse"]) / found["nodes"] * 1e6
            peak_mb = found["peak_bytes"] / 1e6
            load, analyse = f"{found['load'] * 1e3:.1f} ms", f"{found['analyse'] * 1e3:.1f} ms"
            print(f"{name:14}{found['nodes']:9,.0f}{load:>12}{analyse:>12}{per_node[name]:9.1f} us{peak_mb:7.0f} MB")
            if per_node[name] > MICROSECONDS_PER_NODE:
                broken.append(f"{name}: {per_node[name]:.1f} us per node, limit {MICROSECONDS_PER_NODE}")
            if peak_mb > PEAK_MB:
                broken.append(f"{name}: {peak_mb:.0f} MB, limit {PEAK_MB:.0f}")
    growth = per_node["chain9999"] / per_node["chain100"]
    if growth > GROWTH:
        broken.append(f"time per node grows {growth:.2f} times from 1,000 nodes to 100,000, limit {GROWTH}")
    sys.exit("\n".join(broken) or 0)


if __name__ == "__main__":
    main()
