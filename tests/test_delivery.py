"""A file is written whole or not at all, and takes over what the old one was; a stream is written as whoever opened it meant."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

KOREAN = str(Path(__file__).parent / "data" / "korean.yaml")


@pytest.mark.parametrize(("error", "code"), [(OSError(28, "No space left on device"), 2), (KeyboardInterrupt(), 130)])
def test_a_file_that_cannot_be_written_stays_as_it_was(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    file = tmp_path / "out.csv"
    file.write_text("precious")

    def refuse(source: str, target: str) -> None:
        raise error

    monkeypatch.setattr("archcalc.render.delivery.os.replace", refuse)
    outcome = run("summary", KOREAN, "-o", str(file))
    assert outcome.code == code
    assert ("cannot write" in outcome.err and "No space left on device" in outcome.err) == (code == 2)
    assert file.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [file]


def test_what_a_killed_run_has_left_is_in_nobodys_way(run, tmp_path: Path) -> None:
    left = tmp_path / f".archcalc-{os.getpid()}.part"  # in a container every run may have the same number
    left.write_text("left")
    file = tmp_path / "out.csv"
    assert run("summary", KOREAN, "-o", str(file)) == (0, "", "")
    assert left.read_text() == "left"
    assert sorted(tmp_path.iterdir()) == [left, file]


def test_a_link_stays_a_link(run, tmp_path: Path) -> None:
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to("real.csv")
    assert run("summary", KOREAN, "-o", str(tmp_path / "link.csv")).code == 0
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text("utf-8").startswith("name,")


def test_a_file_keeps_its_permissions(run, tmp_path: Path) -> None:
    file = tmp_path / "out.csv"
    file.touch()
    file.chmod(0o640)
    assert run("summary", KOREAN, "-o", str(file)).code == 0
    assert file.stat().st_mode & 0o777 == 0o640
    fresh = tmp_path / "fresh.csv"
    umask = os.umask(0o027)
    try:
        run("summary", KOREAN, "-o", str(fresh))
    finally:
        os.umask(umask)
    assert fresh.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("line", [f"summary {KOREAN} -o out.json", "bench lenet5 --device cpu --dry-run --json out.json"])
def test_a_file_that_may_not_be_written_is_not_replaced(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("out.json").write_text("precious")
    monkeypatch.setattr("archcalc.render.delivery.os.access", lambda path, mode: mode != os.W_OK)  # root may write everything
    outcome = run(*line.split())
    assert (outcome.code, "Permission denied" in outcome.err, Path("out.json").read_text()) == (2, True, "precious")


@pytest.mark.skipif(os.name == "nt", reason="no folder goes away under a process there")
@pytest.mark.parametrize(
    "line", ["summary lenet5 -o out.json", "build lenet5 -o out.py", "bench lenet5 --device cpu --dry-run --json out.json"]
)
def test_a_working_folder_that_is_gone_is_told(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    outcome = run(*line.split())
    assert (outcome.code, outcome.out) == (2, "")
    assert f"error[E222]: cannot write {line.split()[-1]}: No such file or directory\n" in outcome.err


def test_a_file_name_may_be_as_long_as_names_can_be(run, tmp_path: Path) -> None:
    file = tmp_path / f"{'n' * 251}.csv"
    assert run("summary", KOREAN, "-o", str(file)).code == 0
    assert list(tmp_path.iterdir()) == [file]


# A path that stands for a descriptor, and the descriptor.
STREAMS = [("/dev/stdout", 1), ("/dev/stderr", 2), ("/dev/fd/1", 1), ("/dev/fd/3", 3), ("/proc/self/fd/3", 3), ("link", 1)]


@pytest.mark.skipif(os.name == "nt", reason="opens streams by a POSIX shell")
@pytest.mark.parametrize("opened", ["{0}> out", "{0}>> out", "{0}>&1 | cat >> out"])
@pytest.mark.parametrize(("stream", "descriptor"), STREAMS)
def test_what_the_shell_has_opened_is_written_into(run, tmp_path: Path, stream: str, descriptor: int, opened: str) -> None:
    if stream.startswith("/proc") and not os.path.exists("/proc/self/fd"):
        pytest.skip("a system that shows no processes as files")
    (tmp_path / "link").symlink_to("/dev/stdout")
    (tmp_path / "out").write_text("old\n")
    command = f'echo before >&{descriptor}; "$0" -m archcalc summary "$1" --format csv -o {stream}; echo after >&{descriptor}'
    subprocess.run(["sh", "-c", f"{{ {command}; }} {opened.format(descriptor)}", sys.executable, KOREAN], cwd=tmp_path, check=True)
    kept = "old\n" if ">>" in opened else ""
    assert (tmp_path / "out").read_text("utf-8") == f"{kept}before\n{run('summary', KOREAN, '--format', 'csv').out}after\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "out"]
