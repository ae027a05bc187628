"""Mutation testing: break the arithmetic on purpose, one small edit at a time, and list the edits that no test notices.

``python -m tests.mutation [FILE ...] [--sample N --seed S] [--jobs 2]``, from the top of the repository.

The tests are collected once. Each mutant is a fork of that process in which the functions of its file have the mutated code, so
it costs what the tests cost up to the first that fails. Code that ran while tests were collected has left its results behind: a
mutant that survives there is tried again with everything imported anew. (mutmut leaves out decorated functions, as formulas are.)
"""

import argparse
import ast
import gc
import linecache
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, FunctionType
from typing import NamedTuple

import pytest
import torch

torch.set_num_threads(1)  # a fork has only the thread that forked
ROOT = Path(__file__).resolve().parent.parent
TARGETS = ("archcalc/formula*.py", "archcalc/formula/*.py", "archcalc/ops/*.py")
# The tables first: what they notice needs no random search.
TESTS = "op_errors arguments formula ops op_windows elementwise given units expressions flat receptive ops_random".split()
ARGUMENTS = ["-q", "-s", "-x", "-p", "no:cacheprovider", *(f"tests/test_{name}.py" for name in TESTS)]
SECONDS, NOT_RUN = 60, 99  # a mutant may loop for ever; the exit status where the fault is this file's

# The last pair that names a thing says what it becomes.
PAIRS = [(ast.Mod, ast.FloorDiv), (ast.Div, ast.Mult), (ast.Add, ast.Sub), (ast.Mult, ast.FloorDiv), (ast.And, ast.Or)]
PAIRS += [(ast.Is, ast.IsNot), (ast.In, ast.NotIn), (ast.Eq, ast.NotEq), (ast.Lt, ast.LtE), (ast.Gt, ast.GtE)]
PAIRS += [("min", "max"), ("any", "all"), ("ceil_div", "exact"), ("sum", "prod")]
OTHER = {one: other for pair in PAIRS for one, other in (pair, pair[::-1])}
LEFT_ALONE = (ast.JoinedStr, ast.Assert, ast.arguments)  # messages, assertions, defaults
OUTSIDE = ("annotation", "returns", "decorator_list", "bases")


class Mutant(NamedTuple):
    """A file with one expression replaced."""

    path: Path
    line: int
    function: str
    edit: str
    source: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line} {self.function}: {self.edit}"


def edits(node: ast.AST) -> Iterator[ast.expr]:
    """Yield what may stand in the place of an expression."""
    match node:
        case ast.BinOp(left, op, right):
            if type(op) in OTHER:
                yield ast.BinOp(left, OTHER[type(op)](), right)
            if isinstance(op, (ast.Add, ast.Sub, ast.Mult)):
                yield left
            if isinstance(op, (ast.Add, ast.Mult)):
                yield right
        case ast.BoolOp(op, values):
            yield ast.BoolOp(OTHER[type(op)](), values)
        case ast.Compare(left, ops, comparators):
            for at, op in enumerate(ops):
                yield ast.Compare(left, [*ops[:at], OTHER[type(op)](), *ops[at + 1 :]], comparators)
        case ast.UnaryOp(ast.Not() | ast.USub(), operand):
            yield operand
        case ast.Constant(bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(int(value)):
            yield from map(ast.Constant, [value + 1, value - 1] if value else [1])
        case ast.Call(ast.Name(name), arguments, keywords) if name in OTHER:
            yield ast.Call(ast.Name(OTHER[name]), arguments, keywords)


def replacements(node: ast.AST, function: str = "", inside: bool = False) -> Iterator[tuple[str, ast.expr, ast.expr]]:
    """Yield (function, expression, replacement) for all that functions do."""
    for name, field in ast.iter_fields(node):
        for child in field if isinstance(field, list) else [field]:
            strict = getattr(child, "arg", "") == "strict"  # of zip
            if not isinstance(child, ast.AST) or isinstance(child, LEFT_ALONE) or name in OUTSIDE or strict:
                continue
            if isinstance(child, (ast.FunctionDef, ast.ClassDef)):
                yield from replacements(child, f"{function}.{child.name}".lstrip("."), isinstance(child, ast.FunctionDef))
            elif inside:
                yield from ((function, child, edit) for edit in edits(child))
                if name == "test" and not isinstance(child, (ast.UnaryOp, ast.Constant)):
                    yield function, child, ast.UnaryOp(ast.Not(), child)
                yield from replacements(child, function, inside)


def mutants(path: Path) -> Iterator[Mutant]:
    """Yield every mutant of a file; lines stay where they are, for formulas are printed from their source."""
    lines = path.read_bytes().splitlines(keepends=True)
    for function, node, edit in replacements(ast.parse(b"".join(lines))):
        before = b"".join(lines[: node.lineno - 1]) + lines[node.lineno - 1][: node.col_offset]
        after = lines[node.end_lineno - 1][node.end_col_offset :] + b"".join(lines[node.end_lineno :])
        source = before.decode() + f"({ast.unparse(edit)}{chr(10) * (node.end_lineno - node.lineno)})" + after.decode()
        yield Mutant(path, node.lineno, function, f"{ast.unparse(node)} -> {ast.unparse(edit)}", source)


class Mutation:
    """A pytest plugin whose run of the collected tests is one run, in a process of its own, for each mutant."""

    def __init__(self, chosen: list[Mutant], jobs: int):
        self.chosen, self.jobs, self.outcomes = chosen, jobs, dict[Mutant, str]()
        self.ran: set[tuple[str, str]] = set()  # files and functions that collecting the tests ran

    def profile(self, frame, event, argument):
        self.ran.add((frame.f_code.co_filename, frame.f_code.co_qualname.replace(".<locals>", "").partition(".<")[0]))

    def pytest_runtest_logreport(self, report):
        if report.failed:
            os._exit(1)

    def pytest_runtestloop(self, session):
        sys.setprofile(None)
        self.living = [found for found in gc.get_objects() if type(found) is FunctionType and "archcalc" in str(found.__module__)]
        gc.freeze()  # what a fork collects, it copies
        first = self.chosen[0].path  # as it is: the tests must pass, or no mutant is judged
        running = {self.fork(session, Mutant(first, 0, "", "", first.read_text(encoding="utf-8"))): None}
        for number, mutant in enumerate(self.chosen):
            self.wait(running, self.jobs - 1 if number else 0)
            running[self.fork(session, mutant)] = mutant
        self.wait(running, 0)
        return True

    def wait(self, running: dict[int, Mutant | None], most: int) -> None:
        """Wait until at most so many mutants are running."""
        while len(running) > most:
            pid, status = os.wait()
            if mutant := running.pop(pid):
                self.outcomes[mutant] = "survived" if status == 0 else "not run" if status == NOT_RUN << 8 else "killed"
                print(f"{self.outcomes[mutant]:8}", mutant, flush=True)
            elif status:
                pytest.exit("the tests fail without a mutant", 3)

    def fork(self, session, mutant: Mutant) -> int:
        if pid := os.fork():
            return pid
        status = NOT_RUN
        try:
            signal.alarm(SECONDS)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            swap(mutant, self.living)
            for item, following in zip(session.items, [*session.items[1:], None], strict=True):
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            status = imported_anew(mutant) if not mutant.line or (str(mutant.path), mutant.function) in self.ran else 0
        finally:
            os._exit(status)


def swap(mutant: Mutant, living: list[FunctionType]) -> None:
    """Give the functions of a file the mutated code, and the printer of formulas its text."""
    path = str(mutant.path)
    linecache.cache[path] = (0, None, mutant.source.splitlines(keepends=True), path)  # without a date it is not read again
    codes = [compile(mutant.source, path, "exec")]
    for code in codes:  # which grows meanwhile
        codes += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    new = {(code.co_qualname, code.co_firstlineno): code for code in codes}
    for found in living:
        if found.__code__.co_filename == path:
            found.__code__ = new[found.__code__.co_qualname, found.__code__.co_firstlineno]


def imported_anew(mutant: Mutant) -> int:
    """Exit status of the tests, with archcalc and the tests imported again from the mutated file."""
    path, code, original = str(mutant.path), compile(mutant.source, mutant.path, "exec"), SourceFileLoader.get_code
    SourceFileLoader.get_code = lambda self, name: code if self.path == path else original(self, name)
    for name in [name for name in sys.modules if name.split(".")[0] in ("archcalc", "tests", "conftest")]:
        del sys.modules[name]
    return int(pytest.main(ARGUMENTS))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__.partition("\n")[0])
    parser.add_argument("files", nargs="*", type=Path, help="files to mutate; all of archcalc.formula and archcalc.ops without")
    parser.add_argument("--sample", type=int, help="only so many mutants, chosen at random")
    parser.add_argument("--seed", type=int, default=0, help="of the choice (default 0)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at a time (default: one for each core)")
    options = parser.parse_args()
    files = options.files or sorted(path for pattern in TARGETS for path in ROOT.glob(pattern))
    every = [mutant for path in files for mutant in mutants(path.resolve())]
    chosen = every if options.sample is None else random.Random(options.seed).sample(every, min(options.sample, len(every)))
    plugin = Mutation(chosen, options.jobs)
    sys.setprofile(plugin.profile)
    status = int(pytest.main(ARGUMENTS, [plugin]))
    counts = Counter(plugin.outcomes.values())
    print(f"{len(plugin.outcomes)} of {len(every)} mutants:", ", ".join(f"{counts[name]} {name}" for name in sorted(counts)))
    print(*(f"{outcome} {mutant}" for mutant, outcome in sorted(plugin.outcomes.items()) if outcome != "killed"), sep="\n")
    return status or int(counts["killed"] < len(chosen))


if __name__ == "__main__":
    sys.exit(main())
