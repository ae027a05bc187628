"""Seconds and shares as the tables of measured times print them."""


def milliseconds(seconds: float) -> str:
    """Return milliseconds to four digits that count, and not finer than a tenth of a microsecond.

    >>> milliseconds(0.0123456), milliseconds(1.5), milliseconds(0.00004567)
    ('12.35', '1,500', '0.0457')
    """
    value = seconds * 1e3
    decimals = 4 if value < 1 else 3 if value < 10 else 2 if value < 100 else 1 if value < 1000 else 0
    return f"{value:,.{decimals}f}"


def percent(share: float) -> str:
    """Return a share in percent; a small one keeps two digits that count.

    >>> percent(0.1234), percent(0.00456), percent(0.0)
    ('12.3', '0.46', '0')
    """
    return "0" if not share else f"{share:.1%}"[:-1] if abs(share) >= 0.01 else f"{share:.2%}"[:-1]


def signed_percent(share: float) -> str:
    """Return a difference in percent with its sign.

    >>> signed_percent(0.1234), signed_percent(-0.00456)
    ('+12.3', '-0.5')
    """
    return f"{share:+.1%}"[:-1]


def figure(value: float) -> str:
    """Return a rate to three digits that count, or all that stand before the point.

    >>> figure(2390.4), figure(44.12), figure(0.000877), figure(1345.9)
    ('2,390', '44.1', '0.000877', '1,346')
    """
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
