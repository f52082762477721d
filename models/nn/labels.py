"""Labels that condition a model, and what a picture is worth when its label is not known."""

from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor, nn

from models.nn.tempered import shared_copy


class Labelled(nn.Module):
    """A model of which ``config.classes`` says how many labels condition it; 0 is none.

    Attributes:
        label: Of what is drawn, if one was asked for: see ``of_label``.
    """

    config: Any
    label: int | None = None

    def of_label(self, label: int) -> Self:
        """The same model, its weights shared, that draws pictures of this label.

        Raises:
            ValueError: The model has not learned this label, or none at all.
        """
        classes = self.config.classes
        if not classes:
            raise ValueError(
                f"Label {label} was asked for, and these weights were trained without labels. "
                "Leave the label out, or train with --labels and --set classes=N."
            )
        if not 0 <= label < classes:
            raise ValueError(f"Label {label}: these weights know 0 to {classes - 1}.")
        other = shared_copy(self)
        other.label = label
        return other

    def condition(self, labels: Tensor | None, like: Tensor) -> Tensor | None:
        """Labels as one of so many: (B,) -> (B, classes) of ``like``'s type; None for no labels.

        While training their range is not looked at: that of the data was, and a step that is
        recorded (``models.training.recording``) cannot ask for a number.

        Raises:
            ValueError: Labels are missing, not wanted, or out of range.
        """
        classes = self.config.classes
        if (labels is not None) != (classes > 0):
            found = "none were given" if labels is None else "labels were given"
            raise ValueError(f"This model knows {classes} classes, and {found}.")
        if labels is None:
            return None
        if not self.training and (labels.min() < 0 or labels.max() >= classes):
            raise ValueError(f"Labels {labels.tolist()}: expected 0 to {classes - 1}.")
        return (labels.unsqueeze(1) == torch.arange(classes, device=labels.device)).to(like)

    def any_label(self, like: Tensor) -> Tensor | None:
        """The mean of all labels, for pictures of which none is known: (1, classes), or None.

        One row for all of them, so that a graph that is exported fits any number of pictures.
        """
        classes = self.config.classes
        return like.new_full((1, classes), 1 / classes) if classes else None

    def choose_labels(
        self, like: Tensor, suggest: Callable[[], Tensor], generator: torch.Generator
    ) -> Tensor | None:
        """Labels for pictures to be drawn: (B,), or None of a model without.

        Args:
            like: (B, ...) on the device where they have to be.
            suggest: If no label was asked for, says how probable each is: log p, (B, classes).
            generator: Of the draws from these.
        """
        if not self.config.classes:
            return None
        if self.label is not None:
            return torch.full((len(like),), self.label, device=like.device)
        chosen = suggest().softmax(1).cpu().multinomial(1, generator=generator)
        return chosen.squeeze(1).to(like.device)


def under_each_label(
    score: Callable[[Tensor], Tensor], classes: int, count: int, device: torch.device
) -> Tensor:
    """What ``score`` says of ``count`` pictures given each label: -> (B, classes).

    Args:
        score: Labels (B,) -> log p of the pictures given them, (B,).
        classes: How many labels there are.
        count: B.
        device: Where the labels have to be.
    """
    labels = (torch.full((count,), label, device=device) for label in range(classes))
    return torch.stack([score(given) for given in labels], 1)
