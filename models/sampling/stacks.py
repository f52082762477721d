"""Cached sampling of PixelCNNs, plain and gated, with colours one after the other or at once.

At the start of a row all that its pixels take from the rows above is computed. A step of a pixel
then computes the channels of one colour in every layer, from those of the colours before it and of
the pixels to the left: nothing is computed twice.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from models.nn.masked import CausalConv2d, colours_of
from models.sampling.calls import Array, Calls, halves
from models.sampling.rows import Dense, PixelConv, RowConv, array

Steps = list[tuple[int, NDArray[np.int64]]]


def kernel(conv: nn.Module) -> tuple[Array, Array]:
    """Weight (O, I, h, w), masked where the layer masks it, and bias (O,).

    Of a transposed convolution torch keeps the weight as (I, O, h, w), and so it comes.
    """
    assert isinstance(conv, nn.Conv2d | nn.ConvTranspose2d | CausalConv2d)
    weight = conv.weight * conv.mask if isinstance(conv, CausalConv2d) else conv.weight
    assert conv.bias is not None
    return array(weight), array(conv.bias)


def ones_first(weight: Array) -> Array:
    """The channel of ones before those of the picture: (O, C + 1, h, w), of which it was last."""
    return np.roll(weight, 1, axis=1)


def steps_of(known: int, outputs: int, colours: int) -> Steps:
    """For every colour, how many channels hold it or an earlier one, and the outputs it has."""
    ins, outs = np.array(colours_of(known, colours)), np.array(colours_of(outputs, colours))
    return [(int((ins <= c).sum()), (outs == c).nonzero()[0]) for c in range(colours)]


class Entrance:
    """The picture's own row, with ones inside it, and what the first layers make of it.

    Args:
        own: (O, C + 1, t), the first layer in the pixel's own row.
        bias: (O,).
        steps: Values of the pixel that are known in each step, not counting the ones.
        channels: C.
        shape: B and W.
        calls: Of the pixels.
        right: How far a kernel above reaches to the right.
    """

    def __init__(
        self, own: Array, bias: Array, steps: Steps, channels: int, shape: tuple[int, int],
        calls: Calls, right: int,
    ) -> None:  # fmt: skip
        batch, width = shape
        self.conv = PixelConv(own, batch, width, calls, right=right, steps=steps)
        self.conv.row[:, :, 0] = 1
        self.conv.base[:] = bias
        each = channels // len(steps)
        values = self.conv.row[:, :, 1:]
        self.cells = [
            [values[:, j, g * each : (g + 1) * each] for j in range(width)]
            for g in range(len(steps))
        ]


class Exit:
    """Two products behind rectifiers: the last features -> the parameters of the likelihood."""

    def __init__(
        self, hidden: nn.Module, logits: nn.Module, batch: int, colours: int, calls: Calls
    ) -> None:
        self.calls = calls
        layers = [
            Dense(w[:, :, 0, 0], b, batch, calls, steps_of(w.shape[1], len(w), colours))
            for w, b in (kernel(hidden), kernel(logits))
        ]
        self.hidden, self.logits = layers

    def at(self, features: Array, step: int) -> Array:
        """(B, features of the step) -> (B, P)."""
        self.calls.relu(features, self.hidden.cells[step])
        self.calls.relu(self.hidden.at(step), self.logits.cells[step])
        return self.logits.at(step)


class PlainWalk:
    """A plain PixelCNN: a first convolution and residual blocks.

    Args:
        model: A plain ``pixelcnn``.
        batch: How many pictures are drawn.
        calls: What the pixels are computed by.
    """

    def __init__(self, model: Any, batch: int, calls: Calls) -> None:
        self.calls = calls
        c = model.config
        width, G = c.size, c.channels
        first, bias = kernel(model.stack.first)
        first = ones_first(first)
        reach = c.first_kernel // 2
        steps = [(1 + g, s[1]) for g, s in enumerate(steps_of(c.width, c.width, G))]
        permuted = np.concatenate([outputs for _, outputs in steps])
        assert np.array_equal(permuted, np.arange(c.width))
        own = first[:, :, -1, : reach + 1]
        self.entrance = Entrance(own, bias, steps, G, (batch, width), calls, reach)
        self.above = [(self.entrance.conv, self.entrance.conv.above(first[:, :, :-1], bias))]
        self.blocks = []
        for block in model.stack.blocks:
            _, narrow, _, around, _, widen = block.block
            (w1, b1), (w2, b2), (w3, b3) = kernel(narrow), kernel(around), kernel(widen)
            inner, r = len(w2), c.kernel // 2
            conv = PixelConv(
                w2[:, :, -1, : r + 1],
                batch,
                width,
                calls,
                right=r,
                steps=steps_of(inner, inner, G),
            )
            conv.base[:] = b2
            self.above.append((conv, conv.above(w2[:, :, :-1], b2)))
            cells = [
                [conv.row[:, j, outputs[0] : outputs[-1] + 1] for j in range(width)]
                for _, outputs in steps_of(inner, inner, G)
            ]
            down = Dense(w1[:, :, 0, 0], b1, batch, calls, steps_of(c.width, inner, G))
            up = Dense(w3[:, :, 0, 0], b3, batch, calls, steps_of(inner, c.width, G))
            self.blocks.append((down, cells, conv, up))
        self.exit = Exit(model.hidden, model.logits, batch, G, calls)

    def begin_row(self, i: int) -> None:
        """Everything from the rows above row ``i``."""
        if i:
            for conv, above in self.above:
                conv.base[:] = above()

    def at(self, j: int, step: int) -> Array:
        """Parameters of the step's values in column ``j``: (B, P)."""
        calls = self.calls

        def work() -> Array:
            x = self.entrance.conv.at(j, step)
            for down, cells, conv, up in self.blocks:
                calls.relu(x, down.cells[step])
                calls.relu(down.at(step), cells[step][j])
                calls.relu(conv.at(j, step), up.cells[step])
                out = up.at(step)
                calls.add(x, out)
                x = out
            return self.exit.at(x, step)

        return calls.run((j, step), work)

    def put(self, j: int, step: int, values: Array) -> None:
        """What was drawn: (B, C / steps)."""
        self.entrance.cells[step][j][:] = values


class GatedLayer:
    """One gated layer over both stacks.

    A gate is tanh(a) sigmoid(b) = tanh(a) (1 + tanh(b / 2)) / 2: the halves are multiplied into the
    weights, exactly, and one call takes the tanh of both.

    Args:
        layer: A gated layer of either network.
        steps: Of the horizontal stack, (known, outputs among its own channels).
        shape: B and W.
        condition: (H or 1, B, W or 1, 4C) that biases it, or None.
        calls: Of the pixels.
    """

    def __init__(
        self, layer: Any, steps: Steps, shape: tuple[int, int], condition: Array | None,
        calls: Calls,
    ) -> None:  # fmt: skip
        self.calls = calls
        batch, width = shape
        (wv, bv), (wh, bh) = kernel(layer.vertical), kernel(layer.horizontal)
        (wl, bl), (wo, bo) = kernel(layer.link), kernel(layer.out)
        C, r = len(wo), layer.reach
        half = np.repeat([1.0, 0.5], C)  # both halves of the channels of a gate
        gates = [(known, np.concatenate([o, C + o])) for known, o in steps]
        order = np.concatenate([outputs for _, outputs in gates])
        self.vertical = RowConv(
            wv * half[:, None, None, None], bv * half, np.zeros((batch, r + width + r, C)), left=r
        )
        own = wh[:, :, -1, : r + 1] * half[:, None, None]
        self.conv = PixelConv(own, batch, width, calls, steps=gates)
        self.link = np.ascontiguousarray((wl[:, :, 0, 0] * half[:, None] / half)[order].T)
        self.bias = ((bl + bh) * half)[order]
        self.for_v = self.for_h = None
        if condition is not None:
            self.for_v = condition[..., : 2 * C] * half
            self.for_h = (condition[..., 2 * C :] * half)[..., order]
        self.out = Dense(wo[:, :, 0, 0] * 0.5, bo, batch, calls, steps)
        self.cells = [
            [self.conv.row[:, j, outputs[0] : outputs[-1] + 1] for j in range(width)]
            for _, outputs in steps
        ]

    def begin_row(self, i: int, v: Array, *, last: bool) -> Array:
        """Row ``i`` of the vertical stack (B, W, C) -> that of the next layer."""
        self.vertical.input[:] = v
        gate = self.vertical()  # (B, W, 2C)
        B, W, C = gate.shape
        base = (gate.reshape(B * W, C) @ self.link).reshape(B, W, C)
        base += self.bias
        if self.for_v is not None and self.for_h is not None:
            row = i if len(self.for_v) > 1 else 0
            base += self.for_h[row]
            gate += self.for_v[row]
        self.conv.base[:] = base
        if last:
            return v  # nobody looks at it
        np.tanh(gate, out=gate)
        half: Array = (gate[..., C // 2 :] + 1.0) * 0.5
        half *= gate[..., : C // 2]
        return half

    def at(self, j: int, step: int, h: Array) -> Array:
        """The step's channels of the horizontal stack at column ``j`` -> those of the next."""
        calls = self.calls
        calls.copy(h, self.cells[step][j])
        calls.tanh_gate(*halves(self.conv.at(j, step)), self.out.cells[step])
        out = self.out.at(step)
        calls.add(h, out)
        return out


class GatedWalk:
    """A gated PixelCNN: of this folder's models with colours in order, or of a PixelVAE at once.

    Args:
        entrance: Of the horizontal stack; it adds the vertical one's.
        first: Weight (C, I, h, w) and bias of the vertical stack's first layer.
        layers: The gated layers.
        head: From the last features to the parameters.
        alone: (H, B, W, P), what is added to the parameters, or None.
        calls: What the pixels are computed by.
    """

    def __init__(
        self, entrance: Entrance, first: tuple[Array, Array], layers: list[GatedLayer],
        head: Exit, alone: Array | None, calls: Calls,
    ) -> None:  # fmt: skip
        self.calls = calls
        self.entrance, self.layers, self.exit, self.alone = entrance, layers, head, alone
        self.above = entrance.conv.above(*first)
        self.bias = entrance.conv.base[0, 0].copy()
        self.i = 0

    def begin_row(self, i: int) -> None:
        """The vertical stack of row ``i``, and what the horizontal one takes from it."""
        self.i = i
        v = self.above() if i else np.zeros_like(self.entrance.conv.base)
        self.entrance.conv.base[:] = v + self.bias
        for layer in self.layers:
            v = layer.begin_row(i, v, last=layer is self.layers[-1])

    def at(self, j: int, step: int) -> Array:
        """Parameters of the step's values in column ``j``: (B, P)."""

        def work() -> Array:
            h = self.entrance.conv.at(j, step)
            for layer in self.layers:
                h = layer.at(j, step, h)
            return self.exit.at(h, step)

        params = self.calls.run((j, step), work)
        return params if self.alone is None else params + self.alone[self.i][:, j]

    def put(self, j: int, step: int, values: Array) -> None:
        """What was drawn: (B, C / steps)."""
        self.entrance.cells[step][j][:] = values


def gated_pixelcnn(model: Any, batch: int, condition: Array | None, calls: Calls) -> GatedWalk:
    """The walk of a gated ``pixelcnn``, under a condition (B, classes) or none."""
    c = model.config
    shape, G, r = (batch, c.size), c.channels, c.first_kernel // 2
    stack = model.stack
    steps = steps_of(c.width, c.width, G)
    own, bias = kernel(stack.first_h)
    own = ones_first(own)[:, :, 0, : r + 1]
    first_steps = [(1 + g, outputs) for g, (_, outputs) in enumerate(steps)]
    entrance = Entrance(own, bias, first_steps, G, shape, calls, r)
    first, first_bias = kernel(stack.first_v)
    layers = [
        GatedLayer(
            layer, steps, shape,
            None if condition is None
            else (condition @ array(layer.condition.weight).T)[None, :, None],
            calls,
        )
        for layer in stack.layers
    ]  # fmt: skip
    head = Exit(model.hidden, model.logits, batch, G, calls)
    return GatedWalk(entrance, (ones_first(first), first_bias), layers, head, None, calls)


def gated_decoder(net: Any, condition: Tensor, calls: Calls) -> GatedWalk:
    """The walk of a PixelVAE's ``GatedPixelCNN``, under a condition (B, K, H, W)."""
    B, _, _, W = condition.shape
    maps = np.ascontiguousarray(array(condition.permute(2, 0, 3, 1)))  # (H, B, W, K)

    def rows(conv: nn.Module) -> Array:
        """What a layer of 1 x 1 makes of the condition: (H, B, W, C)."""
        weight, bias = kernel(conv)
        product: Array = maps @ weight[:, :, 0, 0].T
        product += bias
        return product

    w, b = kernel(net.first_h)
    own = np.zeros((*w.shape[:2], 2))  # the pixel to the left, and nothing of the pixel itself
    own[:, :, 0] = ones_first(w)[:, :, 0, 0]
    own[:, 0, 0] += b  # moved to the right with the rest: where nothing is to the left, no bias
    width = len(b)
    every = np.arange(width)
    channels = w.shape[1] - 1
    entrance = Entrance(own, np.zeros(width), [(0, every)], channels, (B, W), calls, 1)
    first, first_bias = kernel(net.first_v)
    layers = [
        GatedLayer(layer, [(width, every)], (B, W), rows(layer.condition), calls)
        for layer in net.layers
    ]
    head = Exit(net.head[1], net.head[3], B, 1, calls)
    alone = rows(net.skip)
    return GatedWalk(entrance, (ones_first(first), first_bias), layers, head, alone, calls)
