"""Several processes, one model: torchrun starts them, gradients are averaged between them.

Plain all-reduce instead of a wrapper around the model: a wrapper must own ``forward``, and here a
player's loss may call whatever of the model it likes.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
import torch.distributed
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Processes:
    """This process among those that train together.

    Attributes:
        rank: This one's number; 0 writes the files.
        world: How many there are.
    """

    rank: int = 0
    world: int = 1

    @classmethod
    def join(cls, environment: Mapping[str, str] = os.environ) -> "Processes":
        """Join the others that torchrun started, or be alone."""
        if "WORLD_SIZE" not in environment:
            return cls()
        backend = "gloo"
        if torch.cuda.is_available():
            torch.cuda.set_device(int(environment["LOCAL_RANK"]))  # one card each
            backend = "cpu:gloo,cuda:nccl"  # gradients lie on the card, clocks do not
        torch.distributed.init_process_group(backend)
        return cls(torch.distributed.get_rank(), torch.distributed.get_world_size())

    def leave(self) -> None:
        """Say goodbye; harmless when alone."""
        if self.world > 1:
            torch.distributed.barrier()  # none hangs up while another still talks
            torch.distributed.destroy_process_group()

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Give every process the mean of all processes' gradients."""
        if self.world == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([g.flatten() for g in gradients])
        torch.distributed.all_reduce(flat)
        flat /= self.world
        sizes = [g.numel() for g in gradients]
        for gradient, mean in zip(gradients, torch.split(flat, sizes), strict=True):
            gradient.copy_(mean.view_as(gradient))

    def agree(self, seconds: float) -> float:
        """One clock for all: the largest of the processes' readings."""
        if self.world == 1:
            return seconds
        reading = torch.tensor(seconds, dtype=torch.float64)
        torch.distributed.all_reduce(reading, torch.distributed.ReduceOp.MAX)
        return float(reading)

    def any(self, flag: bool) -> bool:  # noqa: FBT001 - a question has one argument
        """Whether the flag is set in any process: all stop together, or none does."""
        return self.agree(float(flag)) > 0

    def average_buffers(self, tensors: Mapping[str, Tensor]) -> None:
        """Average what each process measured by itself, such as batch statistics."""
        if self.world == 1:
            return
        for value in tensors.values():
            if value.is_floating_point():
                torch.distributed.all_reduce(value)
                value.div_(self.world)
