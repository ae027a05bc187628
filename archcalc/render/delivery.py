"""Where a result is put: into a file, whole or not at all, or onto standard output."""

import errno
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from archcalc.errors import UsageError

STDOUT = "-"  # a file name that stands for standard output

_Which = tuple[int, int] | str | None


def goes_to_stdout(file: str | None) -> bool:
    """Whether this file, or none, means standard output."""
    return file is None or file == STDOUT


def deliver(text: str, file: str | None = None) -> None:
    """Put a text into a file, or onto standard output. Raises UsageError if that cannot be written."""
    if file is None or goes_to_stdout(file):
        with _told("to standard output"):
            _print(text)
    else:
        deliver_bytes(text.encode("utf-8", "backslashreplace"), file)


def deliver_bytes(content: bytes, file: str) -> None:
    """Put what is no text into a file. Raises UsageError if that cannot be written."""
    with _told(file):
        _replace(file, content)


def probe(file: str | None) -> None:
    """Raise UsageError if a file cannot be written, before somebody waits for what is to stand in it."""
    if file is None or goes_to_stdout(file):
        return
    with _told(file):
        path = os.path.realpath(file)
        if os.path.isdir(path):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if os.path.isfile(path) or not os.path.exists(path):
            beside = _beside(path)
            with open(beside, "xb"):
                os.unlink(beside)


def keep_apart(written: Mapping[str, str], read: Iterable[str]) -> None:
    """Raise UsageError if a file that is to be written, told by its option, is one that is ``read``, or that another option writes.

    Links and other spellings of a path are the file that they lead to. ``-`` is standard input where it is read.
    """
    taken: dict[_Which, str] = {
        which: f"what the command reads from {file}" for file in read if isinstance(which := _which(file), tuple)
    }  # one that is not there is missed when it is read
    for option, file in written.items():
        which = None if goes_to_stdout(file) else _which(file)
        if which is not None and which in taken:
            raise UsageError("E222", f"{option} {file} would replace {taken[which]}", help="nothing was changed; use another name")
        taken[which] = f"what {option} writes"


def _which(file: str) -> _Which:
    """Return what tells a file from others: its inode, its path while it is not there; None for a device or a pipe."""
    try:
        found = os.stat(sys.stdin.fileno() if file == STDOUT else file)
    except FileNotFoundError:
        return os.path.realpath(file)
    except (OSError, ValueError, AttributeError):  # what cannot be looked at cannot be read or written; no standard input at all
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else None


@contextmanager
def _told(where: str) -> Iterator[None]:
    """Tell an error of the system's as one of ours."""
    try:
        yield
    except BrokenPipeError:
        raise  # the reader has seen enough
    except OSError as error:
        raise UsageError("E222", f"cannot write {where}: {error.strerror or error}", help="nothing was changed") from None


def _print(text: str) -> None:
    """Write to standard output: a terminal gets what it can show, a pipe UTF-8 whatever the locale says."""
    if sys.stdout is None:  # closed before we started: `>&-`
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    if sys.stdout.isatty():
        encoding = sys.stdout.encoding or "utf-8"
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
    else:
        sys.stdout.flush()
        rest = memoryview(text.encode("utf-8", "backslashreplace"))
        while rest:  # unbuffered, a write may take only a part
            rest = rest[sys.stdout.buffer.write(rest) :]
    sys.stdout.flush()


def _beside(path: str) -> str:
    """Return a name beside a file, one of its own: the file's may be as long as names can be."""
    return os.path.join(os.path.dirname(path), f".archcalc-{os.getpid()}.part")


def _replace(file: str, content: bytes) -> None:
    """Write a file beside the old one, then put it in its place with the old one's permissions.

    What is no plain file (a device, a pipe) is written directly.
    """
    path = os.path.realpath(file)
    try:
        old = os.stat(path).st_mode
    except FileNotFoundError:
        old = None
    if old is not None and not stat.S_ISREG(old):
        with open(path, "wb") as stream:
            stream.write(content)
        return
    if old is not None and not os.access(path, os.W_OK):  # a folder lets its files be replaced, whatever they say themselves
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    beside = _beside(path)
    mode = 0o666 if old is None else stat.S_IMODE(old)
    try:
        with open(beside, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as stream:
            stream.write(content)
        if old is not None:
            os.chmod(beside, mode)  # the umask has narrowed it
        os.replace(beside, path)
    except OSError:
        if os.path.exists(beside):
            os.unlink(beside)
        raise
