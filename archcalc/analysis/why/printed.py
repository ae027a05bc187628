"""Numbers that were printed somewhere and that no way of counting gives: lists in papers, and the sizes of published files.

Each says where it stands. What a network's own arithmetic gives is never written here.
"""

from collections.abc import Collection
from typing import NamedTuple


class PrintedList(NamedTuple):
    """A paper's own list of one measure, layer by layer (``input`` is no layer), and what the text around it says."""

    spec: str
    measure: str
    source: str
    rows: tuple[tuple[str, int], ...]
    sentence: str

    def is_about(self, spec: str, layers: Collection[str]) -> bool:
        """Whether a spec of this name, with these layers, is the network of the paper."""
        return spec == self.spec and all(layer in layers for layer, _ in self.rows if layer != "input")

    @property
    def total(self) -> int:
        """What the list adds up to, without the input."""
        return sum(number for layer, number in self.rows if layer != "input")


class PrintedFile(NamedTuple):
    """A published file of a model's weights, of so many thousandths of a MiB."""

    model: str
    file: str
    thousandths: int

    @property
    def text(self) -> str:
        """The size as it is printed."""
        return f"{self.thousandths // 1000}.{self.thousandths % 1000:03} MiB"


LISTS = (
    PrintedList(
        "alexnet",
        "neurons",
        "Krizhevsky, Sutskever, Hinton 2012, Fig. 2",
        (
            ("input", 150_528), ("conv1", 253_440), ("conv2", 186_624), ("conv3", 64_896), ("conv4", 64_896),
            ("conv5", 43_264), ("fc6", 4096), ("fc7", 4096), ("fc8", 1000),
        ),
        "the abstract says 650,000",
    ),
)  # fmt: skip

FILES_SOURCE = "torchvision 0.29.2"  # _file_size, beside the addresses of its weights
_FILES = {
    "alexnet_torchvision": ("alexnet-owt-7be5be79.pth", 233_087),
    "vgg11": ("vgg11-8a719046.pth", 506_840),
    "vgg11_bn": ("vgg11_bn-6002323d.pth", 506_881),
    "vgg13": ("vgg13-19584684.pth", 507_545),
    "vgg13_bn": ("vgg13_bn-abd245e5.pth", 507_590),
    "vgg16": ("vgg16-397923af.pth", 527_796),
    "vgg16_bn": ("vgg16_bn-6c64b313.pth", 527_866),
    "vgg19": ("vgg19-dcbb9e9d.pth", 548_051),
    "vgg19_bn": ("vgg19_bn-c79401a0.pth", 548_143),
    "resnet18": ("resnet18-f37072fd.pth", 44_661),
    "resnet34": ("resnet34-b627a593.pth", 83_275),
    "resnet50": ("resnet50-0676ba61.pth", 97_781),
    "resnet101": ("resnet101-63fe2227.pth", 170_511),
    "resnet152": ("resnet152-394f9c45.pth", 230_434),
    "densenet121": ("densenet121-a639ec97.pth", 30_845),
    "densenet161": ("densenet161-8d451a50.pth", 110_369),
    "densenet169": ("densenet169-b2777c0a.pth", 54_708),
    "densenet201": ("densenet201-c1103571.pth", 77_373),
    "googlenet_torchvision_aux": ("googlenet-1378be20.pth", 49_731),
}
FILES = tuple(PrintedFile(model, *file) for model, file in _FILES.items())
