"""Element-wise work of every operator, held against a count of the elementary steps that give the same values."""

import pytest
import torch
from torch import nn

from archcalc.ops import OPS
from tests.elementary import STEPS, Operations, elementary
from tests.op_cases import CASES, Case
from tests.torch_modules import module

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")


def network(case: Case) -> nn.Module:
    """The module with random parameters and statistics, so that none can be mixed up with another."""
    torch.manual_seed(0)
    net = module(case.op, case.x).eval()
    for tensor in (*net.parameters(), *net.buffers()):
        if tensor.is_floating_point():
            nn.init.uniform_(tensor, 0.5, 1.5)
    return net


def test_every_operator_has_its_steps():
    assert set(STEPS) == set(OPS.values())


@pytest.mark.parametrize("case", CASES, ids=str)
@torch.no_grad()
def test_elementwise(case):
    torch.manual_seed(1)
    x = [torch.randn(tuple(shape)) for shape in case.inputs]
    net = network(case)
    steps = elementary(case, net)
    with Operations() as operations:
        y = steps(*[tensor.clone() for tensor in x])
    torch.testing.assert_close(y, net(*x), rtol=1e-4, atol=1e-5)
    assert operations.count == case.op.elementwise(case.x, case.y)
