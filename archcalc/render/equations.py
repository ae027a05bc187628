"""Explanations for papers and pages: Markdown with the equations as they are, LaTeX with align and booktabs."""

import re
from collections.abc import Iterator, Sequence

from archcalc.render.explain import Block, Equation
from archcalc.render.markup import for_latex, for_markdown

HEADINGS = ("symbol", "value", "meaning", "source")
TERMS = ("layer", "adds", "arithmetic")
_TOKEN = re.compile(r"(?<=\d)x(?=\d)|, | bytes|[a-z]*\(|[A-Za-z]\w*|[0-9]+|.", re.DOTALL)
_LETTERS = re.compile(r"[a-z](_\w+)?(, [a-z](_\w+)?)*")  # names of numbers that have a letter; others are words
_BRACKETS = {"floor(": (r"\left\lfloor ", r" \right\rfloor"), "ceil(": (r"\left\lceil ", r" \right\rceil")}
# An x and a comma without a space stand between digits.
_SIGNS = {"*": r" \cdot ", "x": r" \times ", ",": "{,}", ", ": r",\ ", " bytes": r"\text{ bytes}"}


def markdown(title: str, blocks: tuple[Block, ...]) -> str:
    """Return the blocks in GitHub's Markdown."""
    lines = [f"## {for_markdown(title)}", ""]
    for block in blocks:
        lines += [f"### {for_markdown(block.title)} = {for_markdown(block.result)}", ""]
        lines += [for_markdown(sentence) for sentence in block.said] + [""]
        lines += _fenced([line for equation in block.equations for line in _steps(block, equation)])
        if block.lines:
            lines += [*_pipes(HEADINGS, block.lines), ""]
        lines += _fenced(list(block.picture))
        lines += [f"- from {for_markdown(line)}" for line in block.trail] + [""]
        if block.terms:
            lines += [*_pipes(TERMS, block.terms), ""]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip("\n") + "\n"


def _pipes(headings: Sequence[str], rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return a Markdown table."""
    body = [[for_markdown(cell) for cell in row] for row in rows]
    return [f"| {' | '.join(cells)} |" for cells in (headings, ["---"] * len(headings), *body)]


def _booktabs(columns: str, headings: Sequence[str], rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return a LaTeX table; its cells are LaTeX already."""
    first, *others = [" & ".join(cells) + r" \\" for cells in (headings, *rows)]
    return [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", first, r"\midrule", *others, r"\bottomrule", r"\end{tabular}", ""]


def _fenced(lines: list[str]) -> list[str]:
    return ["```text", *lines, "```", ""] if lines else []


def _label(block: Block, equation: Equation) -> str:
    return block.title if block.alone else equation.label


def _steps(block: Block, equation: Equation) -> Iterator[str]:
    label = _label(block, equation)
    for number, step in enumerate(equation.steps):
        yield f"{label if not number else '':{len(label)}} = {step}"


def latex(title: str, blocks: tuple[Block, ...]) -> str:
    """Return the blocks for LaTeX: ``align*`` for the equations, booktabs for the values."""
    lines = ["% \\usepackage{amsmath, booktabs, textcomp}", rf"\subsection*{{{for_latex(title)}}}"]
    for block in blocks:
        lines += ["", rf"\paragraph{{{for_latex(block.title)}}} ${_math(block.result)}$."]
        lines += [for_latex(sentence) for sentence in block.said]
        if block.equations:
            equations = [row for equation in block.equations for row in _rows(block, equation)]
            lines += [r"\begin{align*}", " \\\\\n".join(equations), r"\end{align*}"]
        if block.lines:
            symbols = [f"${_math(line.names)} = {_math(line.numbers)}$" for line in block.lines]
            told = [(for_latex(line.meaning), for_latex(line.source)) for line in block.lines]
            rows = [(symbol, *rest) for symbol, rest in zip(symbols, told, strict=True)]
            lines += _booktabs("lll", ("symbol", "meaning", "source"), rows)
        if block.trail:
            lines += [r"\begin{itemize}", *(rf"\item from {for_latex(line)}" for line in block.trail), r"\end{itemize}"]
        if block.terms:
            terms = [(for_latex(name), f"${_math(result)}$", _arithmetic(numbers)) for name, result, numbers in block.terms]
            lines += _booktabs("lrl", TERMS, terms)
    return "\n".join(lines) + "\n"


def _rows(block: Block, equation: Equation) -> Iterator[str]:
    label = _label(block, equation)
    name = _math(label) if _LETTERS.fullmatch(label) else rf"\text{{{for_latex(label)}}}"
    for number, step in enumerate(equation.steps):
        yield f"  {name if not number else ''} &= {_math(step)}"


def _arithmetic(numbers: str) -> str:
    return for_latex(numbers) if re.search(r"[0-9] layer", numbers) else f"${_math(numbers)}$"


def _math(text: str) -> str:
    r"""Return arithmetic as LaTeX's mathematics.

    >>> print(_math("floor((i + 2*p - k_h)/s) + 1"))
    \left\lfloor (i + 2 \cdot p - k_{\mathrm{h}})/s \right\rfloor + 1
    >>> print(_math("34,944"), _math("96x55x55"), _math("k_h, k_w"))
    34{,}944 96 \times 55 \times 55 k_{\mathrm{h}},\ k_{\mathrm{w}}
    """
    written: list[str] = []
    closing: list[str] = []
    for token in _TOKEN.findall(text):
        if token.endswith("("):
            opened, closed = _BRACKETS.get(token, (rf"\operatorname{{{token[:-1]}}}(" if token != "(" else token, ")"))
            written.append(opened)
            closing.append(closed)
        elif token == ")" and closing:
            written.append(closing.pop())
        else:
            written.append(_SIGNS.get(token) or (_letter(token) if token[0].isalpha() else token))
    return "".join(written)


def _letter(token: str) -> str:
    stem, _, end = token.partition("_")
    if len(stem) > 1:
        return rf"\text{{{for_latex(token)}}}"
    return rf"{stem}_{{\mathrm{{{end}}}}}" if end else stem
