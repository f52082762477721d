"""Row-wise sampling of PixelCNNs, plain and gated: what a pass over a guessed row computes.

The rows above are read once, at the beginning of a row: by the vertical stack of a gated network,
by the upper rows of every kernel of a plain one. A pass then computes the row's own part, all
pixels and colours at once.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from models.sampling.row_layers import Buffers, CausalRow, LastRows, OwnRow, dense, weights


class Head:
    """Two products behind rectifiers: the last features -> the parameters of the likelihood."""

    def __init__(self, hidden: Any, logits: Any) -> None:
        self._hidden = dense(hidden)
        self.bias, self._logits = dense(logits)

    def __call__(self, x: Tensor, base: Tensor) -> Tensor:
        """(B * W, C) and what is added, the bias included -> (B * W, P)."""
        bias, matrix = self._hidden
        hidden = torch.addmm(bias, F.relu(x), matrix).relu_()
        return torch.addmm(base, hidden, self._logits)


class PlainRows:
    """A plain PixelCNN.

    Attributes:
        row: (B, W, C), the guess.
        buffers: All that outlives a call.

    Args:
        model: A plain ``pixelcnn``.
        batch: How many pictures are drawn.
    """

    phases = 1

    def __init__(self, model: Any, batch: int) -> None:
        c = model.config
        weight, bias = weights(model.stack.first)
        self.buffers = Buffers(batch, weight.device)
        self._first = CausalRow(weight, bias, self.buffers, c.size, left=c.first_kernel // 2)
        self.row, self._ones = torch.split(self._first.own.own, [c.channels, 1], 2)
        self._blocks = []
        for block in model.stack.blocks:
            _, narrow, _, around, _, widen = block.block
            conv = CausalRow(*weights(around), self.buffers, c.size, left=c.kernel // 2)
            self._blocks.append((dense(narrow), conv, dense(widen)))
        self._head = Head(model.hidden, model.logits)

    def phase(self, _i: int, /) -> int:
        """All rows are alike."""
        return 0

    def begin(self, _phase: int, _i: Tensor, /) -> None:
        """Everything from the rows above."""
        self._first.begin()
        self._ones.fill_(1.0)
        for _, conv, _ in self._blocks:
            conv.begin()

    def params(self, _phase: int, /) -> Tensor:
        """Of all values of the row, given the guess: (B * W, C * K)."""
        x = self._first()
        for (bias, narrow), conv, (wide_bias, widen) in self._blocks:
            inner = torch.addmm(bias, F.relu(x), narrow)
            torch.clamp(inner.view(conv.own.own.shape), min=0.0, out=conv.own.own)
            x = x + torch.addmm(wide_bias, conv().relu_(), widen)
        return self._head(x, self._head.bias)


class GatedLayer:
    """One gated layer over both stacks.

    Args:
        layer: A gated layer of either network.
        buffers: Where the rows are kept.
        width: W.
    """

    def __init__(self, layer: Any, buffers: Buffers, width: int) -> None:
        weight, self._vertical_bias = weights(layer.vertical)
        self._vertical = LastRows(weight, buffers, width, left=layer.reach)
        weight, bias = weights(layer.horizontal)
        self._horizontal = OwnRow(weight[:, :, -1, : layer.reach + 1], buffers, width)
        link_bias, self._link = dense(layer.link)
        self._bias = bias + link_bias
        self._base = buffers.zeros(width, len(bias)).flatten(0, 1)
        self._out = dense(layer.out)

    def begin(self, v: Tensor, condition: Tensor | None, *, last: bool) -> Tensor:
        """The row of the vertical stack (B * W, C), and what biases (B * W, 4C) -> the next's."""
        self._vertical.push(v)
        vertical = self._vertical(self._vertical_bias)
        torch.addmm(self._bias, vertical, self._link, out=self._base)
        if condition is not None:
            for_v, for_h = condition.chunk(2, 1)
            self._base += for_h
            vertical += for_v
        return v if last else _gate(vertical)  # nobody looks at what the last one gives

    def __call__(self, h: Tensor) -> Tensor:
        """The row of the horizontal stack (B * W, C) -> the next layer's."""
        own = self._horizontal.own
        own.copy_(h.view(own.shape))
        bias, matrix = self._out
        return h + torch.addmm(bias, _gate(self._horizontal(self._base)), matrix)


def _gate(x: Tensor) -> Tensor:
    """tanh(a) * sigmoid(b) of the two halves of the channels: (N, 2C) -> (N, C)."""
    a, b = x.chunk(2, 1)
    return torch.tanh(a) * torch.sigmoid(b)


class GatedRows:
    """A gated PixelCNN: of this folder's models with colours in order, or of a PixelVAE at once.

    Attributes:
        row: (B, W, C), the guess.
        buffers: All that outlives a call.

    Args:
        entrances: Weights of the first layers of both stacks, (C, I, h, w) above the row and
            (C, I, t) in it, with the channel of ones last, and the bias of the second.
        layers: The gated layers.
        head: From the last features to the parameters.
        shape: B and W.
    """

    phases = 1

    def __init__(
        self, entrances: tuple[Tensor, Tensor, Tensor], layers: Any, head: Head,
        shape: tuple[int, int],
    ) -> None:  # fmt: skip
        above, own, self._bias = entrances
        batch, width = shape
        self.buffers = Buffers(batch, own.device)
        self._above = LastRows(above, self.buffers, width, left=above.shape[3] // 2)
        self._own = OwnRow(own, self.buffers, width)
        self.row, self._ones = torch.split(self._own.own, [own.shape[1] - 1, 1], 2)
        self._nothing = torch.zeros_like(self._bias)
        self._base = self.buffers.zeros(width, len(own)).flatten(0, 1)
        self._layers = [GatedLayer(layer, self.buffers, width) for layer in layers]
        self._head = head
        self._told: list[Tensor] = []  # what biases each layer, the same in all rows
        self._maps: Tensor | None = None  # (H, B * W, K), and what makes the biases of it
        self._makers: list[tuple[Tensor, Tensor]] = []
        self._alone: tuple[tuple[Tensor, Tensor], Tensor] | None = None

    def tell(self, biases: list[Tensor]) -> None:
        """What biases each layer in all rows and columns: (B, 4C) each."""
        width = self.row.shape[1]
        self._told = [bias.repeat_interleave(width, 0) for bias in biases]

    def show_maps(self, condition: Tensor, layers: list[Any], skip: Any) -> None:
        """A condition (B, K, H, W), the layers that make biases of it, and the one beside all."""
        self._maps = condition.permute(2, 0, 3, 1).flatten(1, 2).contiguous()
        self._makers = [dense(layer) for layer in layers]
        bias, matrix = dense(skip)
        W = self.row.shape[1]
        alone = self.buffers.zeros(W, len(bias)).flatten(0, 1)
        self._alone = ((bias + self._head.bias, matrix), alone)

    def phase(self, _i: int, /) -> int:
        """All rows are alike."""
        return 0

    def begin(self, _phase: int, i: Tensor, /) -> None:
        """The vertical stack of row ``i`` (1,), and what the horizontal one takes from it."""
        self._above.push(self._own.own)
        self._ones.fill_(1.0)
        told = self._told
        if self._maps is not None and self._alone is not None:
            here = self._maps.index_select(0, i)[0]  # (B * W, K)
            told = [torch.addmm(bias, here, matrix) for bias, matrix in self._makers]
            (bias, matrix), out = self._alone
            torch.addmm(bias, here, matrix, out=out)
        v = self._above(self._nothing)
        torch.add(v, self._bias, out=self._base)
        for k, layer in enumerate(self._layers):
            last = k + 1 == len(self._layers)
            v = layer.begin(v, told[k] if told else None, last=last)

    def params(self, _phase: int, /) -> Tensor:
        """Of all values of the row, given the guess: (B * W, P)."""
        h = self._own(self._base)
        for layer in self._layers:
            h = layer(h)
        return self._head(h, self._head.bias if self._alone is None else self._alone[1])


def gated_pixelcnn(model: Any, batch: int, condition: Tensor | None) -> GatedRows:
    """The rows of a gated ``pixelcnn``, under a condition (B, classes) or none."""
    c, stack = model.config, model.stack
    reach = c.first_kernel // 2
    (above, bias_above), (own, bias) = weights(stack.first_v), weights(stack.first_h)
    above[:, -1, -1, reach] += bias_above  # shifted down with the rest: in the first row, no bias
    entrances = (above, own[:, :, -1, : reach + 1], bias)
    rows = GatedRows(entrances, stack.layers, Head(model.hidden, model.logits), (batch, c.size))
    if condition is not None:
        given = condition.double()
        rows.tell([given @ layer.condition.weight.detach().double().T for layer in stack.layers])
    return rows


def gated_decoder(net: Any, condition: Tensor) -> GatedRows:
    """The rows of a PixelVAE's ``GatedPixelCNN``, under a condition (B, K, H, W)."""
    B, _, _, W = condition.shape
    (above, bias_above), (left, bias_left) = weights(net.first_v), weights(net.first_h)
    above[:, -1, -1, 1] += bias_above
    own = left.new_zeros(*left.shape[:2], 2)  # the pixel to the left, and nothing of itself
    own[:, :, 0] = left[:, :, 0, 0]
    own[:, -1, 0] += bias_left  # moved to the right: where nothing is to the left, no bias
    entrances = (above, own, torch.zeros_like(bias_left))
    rows = GatedRows(entrances, net.layers, Head(net.head[1], net.head[3]), (B, W))
    rows.show_maps(condition.double(), [layer.condition for layer in net.layers], net.skip)
    return rows
