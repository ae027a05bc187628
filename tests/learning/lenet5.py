"""LeNet-5's counts of 1998, and where the 61,706 of today come from."""

from tests.learning.markdown import Printed, console, figures, held, items, loaded, numbers, page, prose, report, row, table
from tests.learning.published import LENET5, LENET5_TABLE_1, LENET5_TOTALS

REPLACED = (("S2", "pool1", "a plain mean"), ("C3", "conv2", "sees all of S2"), ("S4", "pool2", "a plain mean"))
OUTPUT = ("output", "fc3", "a Linear layer with weights and biases to learn")


def page_text() -> str:
    totals = report("lenet5").totals
    fixed = row("lenet5", "output").connections
    modern = report("lenet5_modern").totals
    return page(
        "# LeNet-5",
        prose("""
            LeCun, Bottou, Bengio and Haffner 1998, "Gradient-based learning applied to document recognition", section II.B, counts
            every layer in the text. All of it is right to the last digit.
        """),
        "## Layer by layer",
        counts(),
        prose("""
            S2 and S4 are not today's pools: each map has one coefficient for the sum of 4 pixels and one bias, both learned. C5 is
            a convolution whose kernel covers all of the 5x5 map, so parameters and connections agree, as in a full layer; the paper
            prints one number for both, "trainable connections", for C5 and F6.
        """),
        "## The totals",
        figures(
            "in all",
            [
                Printed("parameters", LENET5_TOTALS[0], totals.params),
                Printed("connections", LENET5_TOTALS[1], totals.connections),
            ],
        ),
        prose(f"""
            The two totals differ in scope. The connections take in the output layer's `84*10 = {fixed}`, the parameters do not: the
            output's weights are bitmaps drawn by hand, and nothing in them is learned. Without them the connections would be
            {totals.connections - fixed:,}.
        """),
        "## Table I: which maps of S2 each map of C3 sees",
        connections(),
        prose(f"""
            {len("".join(LENET5_TABLE_1.split()))} crosses, a 5x5 kernel for each, and 16 biases:
            {numbers("lenet5", "C3", "params")} = {row("lenet5", "C3").params:,}. If every map saw all 6, it would be
            {numbers("lenet5_modern", "conv2", "params")} = {row("lenet5_modern", "conv2").params:,}.
        """),
        f"## Why everyone else has {modern.params:,}",
        prose("What is taught and coded as LeNet-5 today is another network:"),
        ledger(),
        "Usual slips:",
        items(
            "a plain pool is given LeNet-5's 12 and 32 parameters, or S2 and S4 are given none",
            "the input is taken as 28x28: the digits are, but they lie in a field of 32x32, or C1 would make 24x24",
            "connections are computed without the bias, which gives the MACs",
        ),
        console("explain lenet5 C3", "why lenet5 61706", "summary lenet5 --columns params,connections,macs"),
    )


def counts() -> str:
    lines = []
    for layer, params, connections in LENET5:
        one = row("lenet5", layer)
        found = held(
            [Printed(f"{layer}, parameters", params, one.params), Printed(f"{layer}, connections", connections, one.connections)]
        )
        worked = (numbers("lenet5", layer, quantity) for quantity in ("params", "connections"))
        for printed, arithmetic in zip(found, worked, strict=True):
            lines.append((printed.what, printed.printed, printed.exact, arithmetic, printed.verdict))
    return table(("layer", "printed", "exact number", "arithmetic", "the print is"), lines)


def connections() -> str:
    rows = loaded("lenet5").find("C3").op.table
    assert " ".join("".join(map(str, one)) for one in rows) == LENET5_TABLE_1
    crosses = [[str(seen), *("X" if seen in one else "" for one in rows)] for seen in range(6)]
    return table(("S2", *map(str, range(len(rows)))), crosses)


def ledger() -> str:
    lines = [("LeNet-5 of 1998", "", report("lenet5").totals.params)]
    for old, new, why in (*REPLACED, OUTPUT):
        difference = row("lenet5_modern", new).params - row("lenet5", old).params
        lines.append((f"{old} is now {new}", why, f"{difference:+,}"))
    assert sum(int(str(number).replace(",", "")) for *_, number in lines) == report("lenet5_modern").totals.params
    return table(("", "", "parameters"), [*lines, ("the remake (`lenet5_modern`)", "", report("lenet5_modern").totals.params)])
