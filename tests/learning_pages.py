"""The pages of docs/learn, made from the bundled specs and the formulas: ``python -m tests.learning_pages`` writes them."""

from pathlib import Path

from tests.learning import alexnet, densenet, googlenet, index, lenet5, quantities, resnet, vgg

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "learn"
PAGES = {
    "README.md": index.page_text,
    "quantities.md": quantities.page_text,
    "lenet5.md": lenet5.page_text,
    "alexnet.md": alexnet.page_text,
    "vgg.md": vgg.page_text,
    "googlenet.md": googlenet.page_text,
    "resnet.md": resnet.page_text,
    "densenet.md": densenet.page_text,
}

if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in PAGES.items():
        (FOLDER / name).write_text(text(), encoding="utf-8", newline="\n")
