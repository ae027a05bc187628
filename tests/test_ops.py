"""Every operator against PyTorch: one table of cases, one test for each question that an operator answers."""

from fractions import Fraction
from math import prod
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from archcalc.errors import ArchcalcError, ArgumentError, ShapeError
from archcalc.ops import OPS, Input, Op, Window
from archcalc.ops.activation import *  # noqa: F403
from archcalc.ops.activation import ELU, GELU, LeakyReLU, LogSoftmax, PReLU, ReLU, ReLU6, Softmax
from archcalc.shape import Shape
