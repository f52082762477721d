"""Run by torchrun in test_processes.py: each process checks what it shares with the others."""

import torch

from models.training.processes import Processes


def check() -> None:
    processes = Processes.join()
    rank, world = processes.rank, processes.world
    assert world == 2
    weight = torch.nn.Parameter(torch.zeros(2, 3))
    bias = torch.nn.Parameter(torch.zeros(3))
    unused = torch.nn.Parameter(torch.zeros(1))
    weight.grad = torch.full((2, 3), float(rank))  # 0 and 1: the mean is 1/2
    bias.grad = torch.tensor([1.0, 2.0, 3.0]) * (1 + 2 * rank)  # times 1 and 3: the mean is times 2
    processes.average_gradients([weight, bias, unused])
    assert weight.grad.tolist() == [[0.5] * 3] * 2
    assert bias.grad.tolist() == [2.0, 4.0, 6.0]
    assert unused.grad is None
    assert processes.agree(10.0 + rank) == 11.0
    assert processes.any(rank == 1)
    assert not processes.any(False)
    buffers = {"mean": torch.tensor([float(rank)]), "count": torch.tensor(rank)}
    processes.average_buffers(buffers)
    assert buffers["mean"].item() == 0.5
    assert buffers["count"].item() == rank
    processes.leave()
    print(f"process {rank} agrees")


if __name__ == "__main__":
    check()
