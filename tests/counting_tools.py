"""The tools that counting conventions are named after, asked themselves: each a function from a module and its input to a total."""

import contextlib
import io
import warnings
from collections.abc import Callable

import torch
from torch import nn


def torch_total(module: nn.Module, image: torch.Tensor) -> int:
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(image)
    return counter.get_total_flops()


def fvcore_total(module: nn.Module, image: torch.Tensor) -> int:
    from fvcore.nn import FlopCountAnalysis

    analysis = FlopCountAnalysis(module, image).unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    return analysis.tracer_warnings("none").total()


def ptflops_total(module: nn.Module, image: torch.Tensor, backend: str = "pytorch") -> int:
    from ptflops import get_model_complexity_info

    def inputs(_shape: tuple[int, ...]) -> torch.Tensor:
        return image

    macs, _ = get_model_complexity_info(
        module, tuple(image.shape[1:]), as_strings=False, print_per_layer_stat=False, backend=backend, input_constructor=inputs
    )
    return macs


def ptflops_aten_total(module: nn.Module, image: torch.Tensor) -> int:
    return ptflops_total(module, image, "aten")


def thop_total(module: nn.Module, image: torch.Tensor) -> int:
    import thop

    return int(thop.profile(module, inputs=(image,), verbose=False)[0])


def torchinfo_total(module: nn.Module, image: torch.Tensor) -> int:
    import torchinfo

    return torchinfo.summary(module, input_data=image, verbose=0).total_mult_adds


def calflops_total(module: nn.Module, image: torch.Tensor) -> int:
    from calflops import calculate_flops

    return calculate_flops(module, args=[image], print_results=False, output_as_string=False)[0]


def deepspeed_total(module: nn.Module, image: torch.Tensor) -> int:
    from deepspeed.profiling.flops_profiler import get_model_profile

    return get_model_profile(module, args=[image], print_profile=False, as_string=False, warm_up=0)[0]


def torchprofile_total(module: nn.Module, image: torch.Tensor) -> int:
    from torchprofile import profile_macs

    return profile_macs(module, image)


def onnx_tool_total(module: nn.Module, image: torch.Tensor) -> int:
    import onnx
    import onnx_tool

    file = io.BytesIO()
    torch.onnx.export(module, (image,), file, dynamo=False, opset_version=20)
    model = onnx_tool.Model(onnx.load_from_string(file.getvalue()), {"constant_folding": True, "verbose": False})
    model.graph.shape_infer()
    model.graph.profile()
    return int(model.graph.macs[0])


# Convention -> what must be importable, and the tool.
TOOLS: dict[str, tuple[tuple[str, ...], Callable[[nn.Module, torch.Tensor], int]]] = {
    "torch": ((), torch_total),
    "fvcore": (("fvcore.nn",), fvcore_total),
    "ptflops": (("ptflops",), ptflops_total),
    "ptflops-aten": (("ptflops",), ptflops_aten_total),
    "thop": (("thop",), thop_total),
    "torchinfo": (("torchinfo",), torchinfo_total),
    "calflops": (("calflops",), calflops_total),
    "deepspeed": (("deepspeed.profiling.flops_profiler",), deepspeed_total),
    "torchprofile": (("torchprofile",), torchprofile_total),
    "onnx-tool": (("onnx", "onnx_tool"), onnx_tool_total),
}


class Whole(nn.Module):
    """A module as a network of one input: what else it takes is held, and it has a parameter, which some tools ask for."""

    def __init__(self, body: nn.Module, others: list[torch.Tensor]):
        super().__init__()
        self.body = body
        self.held = len(others)
        for index, other in enumerate(others):
            self.register_buffer(f"other{index}", other)
        self.unused = nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x, *(getattr(self, f"other{index}") for index in range(self.held)))


def total(tool: str, module: nn.Module, image: torch.Tensor) -> int:
    """What the tool counts for the module in evaluation mode; whatever it prints on the way is dropped."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return TOOLS[tool][1](module.eval(), image)
