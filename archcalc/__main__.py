"""The process of a command: what the installed ``archcalc`` starts, and ``python -m archcalc``."""

import gc

gc.disable()  # before the imports: a command lives for a fraction of a second and makes no cycles worth a sweep

import contextlib  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
from typing import NoReturn  # noqa: E402

from archcalc.cli import main  # noqa: E402


def script() -> NoReturn:
    """Run the command line and end the process at once: to take it apart costs a small command a tenth of its time."""
    code: object = None
    try:
        main()
    except SystemExit as end:
        code = end.code
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(
            OSError, ValueError, AttributeError
        ):  # closed, full or missing: what there was to say of it has been said
            stream.flush()
    os._exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
