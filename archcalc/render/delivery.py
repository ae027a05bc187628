"""Where a result is put: into a file, whole or not at all, or onto standard output."""

import errno
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress

from archcalc.errors import UsageError

STDOUT = "-"  # a file name that stands for standard output


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
        stream = _stream(file)
        if stream is None:
            _replace(os.path.realpath(file), content)
        else:
            with open(stream, "wb", closefd=isinstance(stream, str)) as opened:
                opened.write(content)


def probe(file: str | None) -> None:
    """Raise UsageError if a file cannot be written, before somebody waits for what is to stand in it."""
    if file is None or goes_to_stdout(file):
        return
    with _told(file):
        if _stream(file) is None:
            beside = _beside(os.path.realpath(file))
            with open(beside, "xb"):
                os.unlink(beside)


def keep_apart(written: Mapping[str, str], read: Iterable[str]) -> None:
    """Raise UsageError if a file that is to be written, told by its option, is one that is ``read``, or that another option writes.

    Links and other spellings of a path are the file that they lead to. ``-`` is standard input where it is read.
    """
    taken: dict[tuple[int, int] | str, str] = {
        inode: f"what the command reads from {file}" for file in read if (inode := _inode(file))
    }  # one that is not there is missed when it is read
    for option, file in written.items():
        with _told(file):
            if goes_to_stdout(file) or _stream(file) is not None:
                continue  # nothing is replaced
            which = _inode(file) or os.path.realpath(file)
        if which in taken:
            raise UsageError("E222", f"{option} {file} would replace {taken[which]}", help="nothing was changed; use another name")
        taken[which] = f"what {option} writes"


def _inode(file: str) -> tuple[int, int] | None:
    """Return what tells a plain file from others; None where there is none, or a device or a pipe."""
    try:
        found = os.stat(sys.stdin.fileno() if file == STDOUT else file)
    except (OSError, ValueError, AttributeError):  # what cannot be looked at cannot be read; no standard input at all
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else None


def _stream(file: str) -> int | str | None:
    """Return what is written into as it stands: a descriptor, or the path of a device or a pipe; None for a file that is replaced.

    Raises OSError for what cannot be written.
    """
    try:
        mode = os.stat(file).st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    descriptor = _descriptor(file)
    if descriptor is not None:
        return descriptor
    if not stat.S_ISREG(mode):
        return file
    if not os.access(file, os.W_OK):  # a folder lets its files be replaced, whatever they say themselves
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return None


def _descriptor(file: str) -> int | None:
    """Return the open descriptor that a path leads to, as /dev/stdout and /dev/fd/3 do; None for any other that is there.

    The file behind one is not to be replaced: the shell goes on to write into it, and may have opened it to append.
    """
    descriptors = os.path.realpath("/dev/fd")  # of this process: on Linux a link into /proc
    while os.path.realpath(os.path.dirname(file)) != descriptors:
        if not os.path.islink(file):
            return None
        file = os.path.join(os.path.dirname(file), os.readlink(file))
    return int(os.path.basename(file))


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
    """Return a name beside a file, one that nobody else has: the file's own may be as long as names can be."""
    return os.path.join(os.path.dirname(path), f".archcalc-{os.urandom(8).hex()}.part")


def _replace(path: str, content: bytes) -> None:
    """Write a file beside the old one, then put it in its place with the old one's permissions."""
    old = stat.S_IMODE(os.stat(path).st_mode) if os.path.exists(path) else None
    mode = 0o666 if old is None else old
    beside = _beside(path)
    try:
        with open(beside, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as stream:
            stream.write(content)
        if old is not None:
            os.chmod(beside, old)  # the umask has narrowed it
        os.replace(beside, path)
    except BaseException:  # an interrupt, too, leaves nothing behind
        with suppress(OSError):
            os.unlink(beside)
        raise
