"""The first of the learning pages: what there is, and how to read it."""

from tests.learning.markdown import items, page, prose, table

PAGES = (
    (
        "[quantities.md](quantities.md)",
        "how each number is computed: sizes, parameters, MACs, FLOPs, bytes, receptive fields, neurons",
    ),
    ("[lenet5.md](lenet5.md)", "LeNet-5 (1998): parameters and connections layer by layer, and the connection table"),
    ("[alexnet.md](alexnet.md)", "AlexNet (2012): 224 or 227, two towers, and a figure that does not add up"),
    ("[vgg.md](vgg.md)", "VGG (2015): six columns, and what their parameters are spent on"),
    (
        "[googlenet.md](googlenet.md)",
        "GoogLeNet (2015): Table 1 with its nine columns, and which of its numbers belong to another network",
    ),
    ("[resnet.md](resnet.md)", "ResNet (2016): multiply-adds for ImageNet, parameters for CIFAR, and where the stride stands"),
    ("[densenet.md](densenet.md)", "DenseNet (2017): what a concatenation costs, block by block"),
)


def page_text() -> str:
    return page(
        "# Learning pages",
        prose("""
            For students, and for whoever checks a paper's table by hand. The first page has the formulas. The others take a paper's
            own table, put the exact numbers beside the printed ones, and say of each whether the print is right.
        """),
        table(("page", "what is on it"), PAGES),
        "How a printed figure is judged:",
        items(
            "**exact**: the very number",
            "**rounded**: the exact number rounds to the printed digits",
            "**cut off**: the further digits were left out instead; so are many numbers in papers, and they count as right",
            "**differs**: neither. What is printed belongs to something else, and the page says to what, if it can be found out",
        ),
        prose("""
            Every exact number is computed from a network in [specs/](../../specs) when the page is written, and a test writes the
            pages again: they cannot go stale. These pages are to be read; a calculation of your own is checked by `archcalc verify
            PAGE.md`, and [worksheets.md](../worksheets.md) says how to write it down. For a sheet to fill in: `archcalc worksheet
            alexnet --blank`.
        """),
    )
