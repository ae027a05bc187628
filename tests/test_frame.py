"""What holds the project together: what an install contains, what starting costs in imports, what the benchmarks judge."""

import hashlib
import importlib.util
import os
import random
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.parser import HeaderParser
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
APACHE_2 = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"  # sha256 of apache.org/licenses/LICENSE-2.0.txt

# Runs the command line as its script does, then tells on the last line of stderr which modules that brought in.
LOADED = """
import sys
from archcalc.cli import main
sys.argv[0] = "archcalc"
try:
    main()
finally:
    print(*sys.modules, file=sys.stderr)
"""
SLOW = {"torch", "rich", "numpy", "onnx"}


def loaded(*arguments: str, **variables: str) -> set[str]:
    """Modules in memory at the end of a command."""
    command = [sys.executable, "-c", LOADED, *arguments]
    ended = subprocess.run(command, capture_output=True, encoding="utf-8", env=os.environ | variables, cwd=ROOT)
    *said, modules = ended.stderr.splitlines()
    assert ended.returncode == 0, "\n".join(said)
    assert ended.stdout
    return set(modules.split())


@pytest.mark.parametrize("form", ["json", "jsonl", "csv", "tsv", "md", "latex"])
def test_a_summary_for_machines_imports_nothing_slow(form: str) -> None:
    assert loaded("summary", "alexnet", "--format", form) & SLOW == set()


def test_a_table_imports_rich_only_for_another_script() -> None:
    assert loaded("summary", "alexnet") & SLOW == set()
    assert loaded("summary", "tests/data/korean.yaml") & SLOW == {"rich"}


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        (["--help"], {}),
        (["--version"], {}),
        (["summary", "--help"], {}),
        ([], {"_ARCHCALC_COMPLETE": "bash_complete", "COMP_WORDS": "archcalc summary --form", "COMP_CWORD": "2"}),
    ],
    ids=["help", "version", "summary-help", "completion"],
)
def test_help_and_completion_import_no_calculator(arguments: list[str], variables: dict[str, str]) -> None:
    assert (
        loaded(*arguments, **variables) & (SLOW | {"yaml", "msgspec", "archcalc.ops", "archcalc.spec", "archcalc.analysis"})
        == set()
    )


@pytest.mark.parametrize(
    "place", ["archcalc/ops/conv.py", "archcalc/render/table.py", "archcalc/cli/summary.py", "benchmarks/scale.py"]
)
def test_lint_refuses_slow_imports_at_module_level(place: str) -> None:
    packages = ["numpy", "onnx", "onnxruntime", "rich", "torch"]
    imports = [form.format(package) for package in packages for form in ("import {0}", "import {0}.part", "from {0} import part")]
    assert lint("\n".join(imports), place).count("TID253") == len(imports)
    assert lint("def late():\n    " + "\n    ".join(imports), place).count("TID253") == 0


def lint(text: str, place: str) -> str:
    """Ruff's verdict on a file of that text at that place."""
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format", "concise", "--stdin-filename", place, "-"]
    return subprocess.run(command, input=text, capture_output=True, encoding="utf-8", cwd=ROOT).stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source archive of this tree."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-d", folder], cwd=ROOT, check=True, capture_output=True)
    return folder


def wheel(folder: Path) -> Path:
    (file,) = folder.glob("*.whl")
    return file


def test_the_wheel_holds_the_package_and_the_zoo_and_nothing_else(built: Path) -> None:
    sources = {file.relative_to(ROOT).as_posix() for file in ROOT.glob("archcalc/**/*") if file.suffix in {".py", ".typed"}}
    specs = {f"archcalc/specs/{file.name}" for file in ROOT.glob("specs/*")}
    names = set(zipfile.ZipFile(wheel(built)).namelist())
    assert specs
    assert {name for name in names if not name.startswith("archcalc-")} == sources | specs


def test_the_wheel_says_what_it_is(built: Path) -> None:
    archive = zipfile.ZipFile(wheel(built))
    home = f"archcalc-{PROJECT['version']}.dist-info"
    headers = HeaderParser().parsestr(archive.read(f"{home}/METADATA").decode())
    assert headers["Version"] == PROJECT["version"]
    assert headers["License-Expression"] == "Apache-2.0"
    assert hashlib.sha256(archive.read(f"{home}/licenses/LICENSE")).hexdigest() == APACHE_2
    needed = [line for line in headers.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert sorted(line.partition(">")[0].lower() for line in needed) == ["click", "msgspec", "pyyaml", "rich"]


def test_the_source_archive_can_be_tested(built: Path) -> None:
    (file,) = built.glob("*.tar.gz")
    with tarfile.open(file) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    here = {
        path.relative_to(ROOT).as_posix()
        for pattern in ("specs/*", "tests/**/*.py", "benchmarks/*.py")
        for path in ROOT.glob(pattern)
    }
    assert here | {"LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml"} <= names


def test_one_version_everywhere(run) -> None:
    import archcalc

    assert archcalc.__version__ == version("archcalc") == PROJECT["version"]
    assert run("--version").out.split()[-1] == PROJECT["version"]
    newest = next(line for line in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines() if line.startswith("## "))
    assert newest.startswith(f"## [{PROJECT['version']}]")


@pytest.mark.slow
def test_a_fresh_install_of_the_wheel_runs_the_main_job(built: Path, tmp_path: Path) -> None:
    """Needs a package index: only the base dependencies are installed, and nothing of this tree is on the path."""
    home = tmp_path / "venv"
    python = home / ("Scripts" if os.name == "nt" else "bin") / "python"
    clean = {key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    for command in (
        [sys.executable, "-m", "venv", home],
        [python, "-m", "pip", "install", "--quiet", wheel(built)],
        [python.with_name("archcalc"), "summary", "alexnet", "--format", "csv"],
    ):
        ended = subprocess.run(command, capture_output=True, encoding="utf-8", cwd=tmp_path, env=clean)
        assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("Conv2d") == 5
    installed = subprocess.run(
        [python, "-m", "pip", "list", "--format=freeze"], capture_output=True, encoding="utf-8", check=True
    ).stdout
    assert "torch" not in installed


@pytest.fixture(scope="module")
def cold_start() -> ModuleType:
    """benchmarks/cold_start.py as a module."""
    described = importlib.util.spec_from_file_location("cold_start", ROOT / "benchmarks" / "cold_start.py")
    assert described is not None
    assert described.loader is not None
    module = importlib.util.module_from_spec(described)
    sys.modules["cold_start"] = module  # dataclasses look their module up
    described.loader.exec_module(module)
    return module


def test_the_benchmark_interleaves_and_counts_its_rounds(cold_start: ModuleType) -> None:
    order: list[str] = []

    def clock(case) -> float:
        order.append(case.name)
        return 1.0

    times = cold_start.measure(cold_start.CASES, 10, clock, random.Random(0))
    names = [case.name for case in cold_start.CASES]
    assert order[: len(names)] == names  # the warm-up, whose times are dropped
    assert {name: len(found) for name, found in times.items()} == dict.fromkeys(names, 10) | {cold_start.PEER.name: 2}
    first_round = order[len(names) : 2 * len(names)]
    assert sorted(first_round) == sorted(names)


@pytest.mark.parametrize(
    ("scale", "sentences"), [(0.99, 0), (1.01, 6)], ids=["a little within every limit", "a little beyond every limit"]
)
def test_the_benchmark_breaks_on_each_limit(cold_start: ModuleType, scale: float, sentences: int) -> None:
    times = {case.name: [0.03 * scale * case.at_most] if case.at_most else [0.03] for case in cold_start.CASES}
    times[cold_start.PEER.name] = [0.03 * 3.0 * scale * cold_start.PEER_AT_LEAST / scale**2]
    assert len(cold_start.broken(cold_start.CASES, times)) == sentences


def test_the_benchmark_says_when_the_machine_was_busy(cold_start: ModuleType) -> None:
    quiet, one_hiccup, busy = [1.0, 1.01, 1.02, 1.03, 1.04], [1.0, 1.0, 1.0, 1.0, 9.0], [1.0, 5.0, 5.2, 10.0, 10.4]
    assert cold_start.noisy({"quiet": quiet, "one hiccup": one_hiccup, "busy": busy, "single": [1.0]}) == ["busy"]
