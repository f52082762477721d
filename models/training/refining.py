"""A training that starts from weights which tell shapes looks at the shapes a second time.

What an embedding learned of shape from all photos together evens out what a bad mask or an odd fold
hides in one (self-distillation; Furlanello et al., 2018). ``models.training.shapes`` says how the
two are joined.
"""

from dataclasses import replace

import torch
from torch import Tensor

from models.training.checkpoint import Weights
from models.training.loop import shrink
from models.training.photos import PhotoTensors
from models.training.protocols import ShapeTeller
from models.training.shapes import refine_shapes
from models.training.views import to_float

BATCH = 128


@torch.no_grad()
def refine(photos: PhotoTensors, weights: Weights | None) -> PhotoTensors:
    """The same photos, with shapes that the weights have a say in.

    Photos without a trusted mask have a shape then, too. Sources of which no shape is known at all,
    such as arrays of small pictures, stay without. Nothing changes if there are no weights, or if
    they tell no shape.
    """
    if photos.shapes is None or weights is None or not isinstance(weights.model, ShapeTeller):
        return photos
    model = weights.model.eval()
    asked = _of_known_sources(photos, photos.shapes)
    said = []
    for index in torch.split(asked, BATCH):
        picture = shrink(to_float(photos.pixels[index]), weights.preprocessing.size)
        told, mirrored = model.tell_shape(picture), model.tell_shape(picture.flip(3))
        if told is None or mirrored is None:
            return photos
        said.append(told + mirrored)  # a shape and its mirror image's are the same
    if not said:
        return photos
    shapes = photos.shapes.clone()
    shapes[asked] = refine_shapes(shapes[asked], torch.cat(said))
    return replace(photos, shapes=shapes)


def _of_known_sources(photos: PhotoTensors, shapes: Tensor) -> Tensor:
    """Numbers of the photos whose source has at least one known shape: (M,)."""
    known = shapes.square().sum(1) > 0.5
    if not photos.parts:
        return torch.arange(len(photos)) if bool(known.any()) else torch.arange(0)
    counts = torch.tensor([part.items for part in photos.parts])
    source = torch.repeat_interleave(torch.arange(len(counts)), counts)[photos.groups]
    return torch.isin(source, source[known]).nonzero().squeeze(1)
