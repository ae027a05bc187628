"""What every test can ask for: the command line in this process or its own, a terminal of a given width, golden screens."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, settings

# One thread for PyTorch, here and in the processes that tests start: tests run side by side, and threads that wait for each other
# on a busy machine cost ten times what they save.
os.environ.setdefault("OMP_NUM_THREADS", "1")

GOLDEN = Path(__file__).parent / "golden"

# Random tests are the same on every run here; the long search is `ARCHCALC_PROFILE=slow pytest -m "slow or not slow"`.
settings.register_profile(
    "ci", max_examples=300, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("slow", parent=settings.get_profile("ci"), max_examples=10_000, derandomize=False, print_blob=True)
settings.load_profile(os.environ.get("ARCHCALC_PROFILE", "ci"))

# What changes a screen without being asked for by the test.
SCREEN_VARIABLES = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TERM", "CI", "PYTHONWARNINGS")


class Outcome(NamedTuple):
    """What a command left behind: its exit code and its two streams."""

    code: int
    out: str
    err: str


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--refresh-golden", action="store_true", help="Write tests/golden anew; read the diff before it is committed.")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with one in tests/golden, to the last space.

    ``golden(text, "name.txt")``
    """

    def compare(text: str, name: str) -> None:
        file = GOLDEN / name
        if request.config.getoption("--refresh-golden"):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8", newline="\n")
        assert file.exists(), f"no golden {name}: write it with --refresh-golden and read it"
        assert text == file.read_text(encoding="utf-8"), f"{name} has changed: if that is right, --refresh-golden"

    return compare


@pytest.fixture
def environment() -> Iterator[pytest.MonkeyPatch]:
    """The environment without what changes a screen unasked; put back afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        for variable in SCREEN_VARIABLES:
            patch.delenv(variable, raising=False)
        yield patch


@pytest.fixture
def run(environment: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """The command line in this process, into a pipe, 100 columns and no colour unless told.

    ``run("list", COLUMNS="80").out``
    """

    def run(*arguments: str, input: str = "", **variables: str) -> Outcome:
        from click.testing import CliRunner

        from archcalc.cli import main

        runner = CliRunner(env={"COLUMNS": "100", "NO_COLOR": "1", **variables})
        with runner.isolation(input) as (out, err, _):
            try:
                main(list(arguments))
                code = 0
            except SystemExit as exit:
                code = exit.code if isinstance(exit.code, int) else int(exit.code is not None)
            sys.stdout.flush()
            sys.stderr.flush()
            return Outcome(code, out.getvalue().decode(), err.getvalue().decode())

    return run


@pytest.fixture
def run_process(environment: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """The command line as a process of its own, into a pipe, or onto a terminal of so many columns.

    ``run_process("list", columns=80, NO_COLOR="1").out``
    """

    def run(*arguments: str, input: str = "", columns: int | None = None, cwd: Path | None = None, **variables: str) -> Outcome:
        command = [sys.executable, "-W", "error", "-m", "archcalc", *arguments]
        variables = os.environ | variables
        if columns is not None:
            return on_terminal(command, columns, cwd, variables)
        ended = subprocess.run(command, input=input, capture_output=True, encoding="utf-8", cwd=cwd, env=variables, timeout=60)
        return Outcome(ended.returncode, ended.stdout, ended.stderr)

    return run


def on_terminal(command: list[str], columns: int, cwd: Path | None, variables: dict[str, str]) -> Outcome:
    """Run a command whose standard output is a terminal of that width."""
    termios = pytest.importorskip("termios", reason="pseudo-terminals are a Unix thing")
    import pty
    import tty

    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (50, columns))
    tty.setraw(theirs)  # or the terminal would turn \n into \r\n
    variables = {"TERM": "xterm-256color"} | variables
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, cwd=cwd, env=variables, encoding="utf-8"
    ) as process:
        os.close(theirs)
        out = b"".join(iter(lambda: read_terminal(ours), b""))
        err = process.stderr.read()
    os.close(ours)
    return Outcome(process.returncode, out.decode(), err)


def read_terminal(ours: int) -> bytes:
    """What the terminal shows next; nothing once the other side has hung up."""
    try:
        return os.read(ours, 65536)
    except OSError:  # Linux says EIO where others say end of file
        return b""
