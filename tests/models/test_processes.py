"""What processes that train together share; alone, all of it is a formality."""

import subprocess
import sys
from pathlib import Path

import torch

from models.training.processes import Processes

CHILD = Path(__file__).with_name("processes_child.py")


def test_two_processes_agree():
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*command, str(CHILD)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    for rank in (0, 1):  # their lines may run into each other
        assert f"process {rank} agrees" in done.stdout


def test_one_process_is_alone():
    alone = Processes.join({})
    assert (alone.rank, alone.world) == (0, 1)
    parameter = torch.nn.Parameter(torch.zeros(1))
    parameter.grad = torch.ones(1)
    alone.average_gradients([parameter])
    assert parameter.grad.item() == 1.0
    assert alone.agree(3.5) == 3.5
    assert alone.any(True)
    alone.leave()
