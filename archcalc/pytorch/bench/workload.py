"""What one step of a benchmark runs: the network on random data, forward, backward or a whole step of training."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from archcalc.analysis.timing.plan import Case, Configuration
from archcalc.graph import Graph
from archcalc.pytorch.bench.precision import autocast, dtype_of, needs_scaler
from archcalc.pytorch.build import build

LEARNING_RATE, MOMENTUM = 1e-3, 0.9  # any that keep the weights finite: the time does not depend on them
SEED = 0
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class Workload:
    """A network with its data on a device; ``step`` runs it once.

    ``module`` may be wrapped (compiled, data-parallel); ``network`` stays the plain one, whose layers have the spec's names.
    """

    def __init__(self, case: Case, device: torch.device, network: nn.Module | None = None):
        self.configuration: Configuration = case.configuration
        self.graph: Graph = case.graph
        self.device = device
        heads = [name for name in case.graph.outputs if name != "output"]
        self.weights = [1.0, *(case.graph.head_weights.get(name, 1.0) for name in heads)]  # of the losses, the main one's first
        self.training = self.configuration.mode != "infer"
        self.network = self._prepared(build(case.graph) if network is None else network)
        self.module: nn.Module | Callable[..., Any] = self.network
        self.inputs = self._random_inputs()
        settle(self.network, self.inputs)
        self.network.train(self.training)
        self.targets: Tensor | None = None
        self.optimizer: torch.optim.Optimizer | None = None
        self.scaler = torch.amp.GradScaler(device.type) if needs_scaler(self.configuration.dtype, device.type) else None
        if self.configuration.mode == "train":
            # foreach is what PyTorch would choose on CUDA; fused steps without asking the GPU whether a scaled gradient was finite.
            way = {"fused": True} if self.scaler else {"foreach": device.type == "cuda"}
            self.optimizer = torch.optim.SGD(self.network.parameters(), LEARNING_RATE, MOMENTUM, **way)

    def step(self) -> None:
        """Run one step, as far as the mode goes."""
        if not self.training:
            with torch.inference_mode(), autocast(self.configuration.dtype, self.device.type):
                self.module(*self.inputs)
            return
        self.network.zero_grad(set_to_none=True)
        with autocast(self.configuration.dtype, self.device.type):
            loss = self.loss(self.module(*self.inputs))
        self._backward(loss)

    def loss(self, outputs: Any) -> Tensor:
        """Return cross entropy against random classes, the heads' weighted; the mean square of what are no classes."""
        tensors = outputs if isinstance(outputs, tuple) else (outputs,)
        losses = [weight * self._one_loss(tensor) for weight, tensor in zip(self.weights, tensors, strict=True)]
        return torch.stack(losses).sum() if len(losses) > 1 else losses[0]

    def _one_loss(self, output: Tensor) -> Tensor:
        if output.dim() != 2:
            return output.float().square().mean()
        if self.targets is None:
            made = torch.Generator().manual_seed(SEED)
            self.targets = torch.randint(output.shape[1], (output.shape[0],), generator=made).to(self.device)
        return functional.cross_entropy(output.float(), self.targets.remainder(output.shape[1]))

    def _backward(self, loss: Tensor) -> None:
        if self.scaler is None:
            loss.backward()  # type: ignore[no-untyped-call]
            if self.optimizer is not None:
                self.optimizer.step()
            return
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        if self.optimizer is not None:
            self.scaler.step(self.optimizer)
            self.scaler.update()

    def _prepared(self, network: nn.Module) -> nn.Module:
        network.to(self.device, dtype_of(self.configuration.dtype))
        for tensor in (*network.parameters(), *network.buffers()):  # Module.to would ask for it where there are 5 dimensions, too
            tensor.data = tensor.data.contiguous(memory_format=self._memory_format(tensor.dim()))
        return network

    def _random_inputs(self) -> tuple[Tensor, ...]:
        """Return random numbers: zeros would run faster, for they cost a GPU less power."""
        made = torch.Generator().manual_seed(SEED)
        tensors = (torch.randn(*node.output, generator=made) for node in self.graph.inputs)
        dtype = dtype_of(self.configuration.dtype)
        return tuple([one.to(self.device, dtype).contiguous(memory_format=self._memory_format(one.dim())) for one in tensors])

    def _memory_format(self, dimensions: int) -> torch.memory_format:
        return torch.channels_last if self.configuration.layout == "nhwc" and dimensions == 4 else torch.contiguous_format


def settle(network: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    """Give every layer numbers of the size that a trained network has.

    PyTorch's own initial weights let activations shrink from layer to layer, down to denormal numbers, which take a CPU many
    times as long; and in evaluation a BatchNorm that has seen nothing yet lets them grow without end. He's weights keep their size,
    and one pass in training mode shows every BatchNorm what it is to normalise.
    """
    with torch.no_grad():
        for module in network.modules():
            weight = getattr(module, "weight", None)
            if isinstance(weight, nn.Parameter) and weight.dim() > 1 and weight.shape[1:].numel() > 1:
                nn.init.kaiming_normal_(weight)
        norms = [module for module in network.modules() if isinstance(module, BATCH_NORMS) and module.running_mean is not None]
        if not norms:
            return
        before: Mapping[nn.Module, float | None] = {norm: norm.momentum for norm in norms}
        for norm in norms:
            norm.momentum = None  # the mean of all that was seen, which is this one batch
            norm.reset_running_stats()
            norm.train()
        # Two images at least: of one alone a map of a single element has no variance.
        network(*(one if one.shape[0] > 1 else torch.cat([one, one.flip(-1)]) for one in inputs))
        for norm in norms:
            norm.momentum = before[norm]
