"""A step as one piece of work for an accelerator: recorded once, repeated with other numbers.

A recurrent network over a picture is tens of thousands of small kernels. Started one by one they
keep the processor busy and leave the accelerator idle; as a CUDA graph they are started as one.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

import torch
from torch import Tensor, nn

from models.training.protocols import Batch, StrokeBatch

WARM_UPS = 3  # steps that are run before the recording, so that libraries have made their choices

Loss = Callable[[Batch | StrokeBatch], dict[str, Tensor]]


class Recording:
    """The loss of a step and its gradients, recorded.

    Noise comes from a generator on the device, seeded anew for every step, so a step can be
    repeated, but it is not the noise of the same step on a processor. Gradients lie in the same
    memory after every step and must not be set to None.

    Args:
        model: Whose buffers a step may change; they are as before after the recording.
        parameters: What is moved by the gradients.
        loss: Runs the same kernels whatever the batch holds.
        batch: One of the shape of all.
        bf16: Whether convolutions run in bfloat16.

    Raises:
        RuntimeError: Something in the loss cannot be recorded.
    """

    def __init__(
        self,
        model: nn.Module,
        parameters: Iterable[nn.Parameter],
        loss: Loss,
        batch: Batch | StrokeBatch,
        *,
        bf16: bool,
    ) -> None:
        device = next(model.parameters()).device
        self.generator = torch.Generator(device)
        self.progress = torch.zeros((), device=device)
        self.given = _still(batch, self.generator, self.progress)
        self.graph = torch.cuda.CUDAGraph()
        self.graph.register_generator_state(self.generator)
        moved = list(parameters)
        buffers = [buffer.clone() for buffer in model.buffers()]

        def step() -> dict[str, Tensor]:
            with torch.autocast("cuda", torch.bfloat16, enabled=bf16, cache_enabled=False):
                parts = loss(self.given)
            parts["loss"].backward()  # type: ignore[no-untyped-call]
            return {key: value.detach() for key, value in parts.items()}

        aside = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(aside):
            for _ in range(WARM_UPS):
                _forget(moved)
                step()
        torch.cuda.current_stream(device).wait_stream(aside)
        _forget(moved)
        # Other threads, which copy batches, say, may go on meanwhile.
        with torch.cuda.graph(self.graph, capture_error_mode="thread_local"):
            self.parts = step()
        with torch.no_grad():
            for buffer, before in zip(model.buffers(), buffers, strict=True):
                buffer.copy_(before)

    def repeat(self, batch: Batch | StrokeBatch) -> dict[str, Tensor]:
        """The loss's parts and, in the parameters, the gradients of another batch."""
        for kept, new in zip(_tensors(self.given), _tensors(batch), strict=True):
            kept.copy_(new)
        self.progress.fill_(float(batch.progress))
        self.generator.manual_seed(batch.step_seed)
        self.graph.replay()
        return self.parts


def _still(
    batch: Batch | StrokeBatch, source: torch.Generator, progress: Tensor
) -> Batch | StrokeBatch:
    """A batch whose tensors stay where they are."""
    if isinstance(batch, StrokeBatch):
        return replace(batch, strokes=batch.strokes.clone(), source=source, progress=progress)
    return replace(
        batch,
        views=batch.views.clone(),
        targets=batch.targets.clone(),
        shapes=None if batch.shapes is None else batch.shapes.clone(),
        labels=None if batch.labels is None else batch.labels.clone(),
        source=source,
        progress=progress,
    )


def _tensors(batch: Batch | StrokeBatch) -> list[Tensor]:
    if isinstance(batch, StrokeBatch):
        return [batch.strokes]
    every = (batch.views, batch.targets, batch.shapes, batch.labels)
    return [t for t in every if t is not None]


def _forget(parameters: Iterable[nn.Parameter]) -> None:
    for parameter in parameters:
        parameter.grad = None
