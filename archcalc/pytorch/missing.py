"""What to say where PyTorch is not installed."""

from archcalc.errors import MissingError


def need_torch(code: str, purpose: str, *, without: str = "") -> None:
    """Raise MissingError with this code if PyTorch is not installed.

    ``purpose`` begins the sentence: what needs it; ``without`` is what can be had without it.
    """
    try:
        import torch  # noqa: F401  # only whether it is there
    except ImportError:
        way_out = "pip install 'archcalc[torch]'" + (f"; {without}" if without else "")
        raise MissingError(code, f"{purpose} PyTorch, which is not installed", help=way_out) from None
