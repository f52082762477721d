"""Where half precision ends: likelihoods and vectors are computed in float32 or better."""

import torch
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """Widen bfloat16 and float16; leave float32 and float64 as they are."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
