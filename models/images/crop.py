"""A part of a photo: a box in pixels or in fractions of its sides."""

import math
from dataclasses import dataclass
from typing import Literal, Self

from models.images.decode import ImageError

Unit = Literal["fractions", "pixels"]
Box = tuple[int, int, int, int]

FORM = "four numbers with commas between them: left,top,right,bottom"


@dataclass(frozen=True, slots=True)
class Crop:
    """A box of a photo as it stands upright, its EXIF orientation applied.

    Attributes:
        left: Where it begins, from the photo's left side.
        top: The same from above.
        right: Where it ends, from the photo's left side; the column there is no part of it.
        bottom: The same from above.
        unit: Whether these are fractions of the photo's sides, 0 to 1, or whole pixels.

    Raises:
        ValueError: A number is not finite, or one of pixels is not whole.
    """

    left: float
    top: float
    right: float
    bottom: float
    unit: Unit = "fractions"

    def __post_init__(self) -> None:
        sides = (self.left, self.top, self.right, self.bottom)
        if not all(map(math.isfinite, sides)):
            raise ValueError(f"found '{self}'; expected {FORM}.")
        if self.unit == "pixels" and not all(float(side).is_integer() for side in sides):
            raise ValueError(f"found '{self}' in pixels; expected whole numbers.")

    @classmethod
    def parse(cls, text: str, unit: Unit = "fractions") -> Self:
        """The crop that ``left,top,right,bottom`` says.

        Raises:
            ValueError: It is not four numbers, or they are not of that unit.
        """
        try:
            left, top, right, bottom = map(float, text.split(","))
        except ValueError:
            raise ValueError(f"found {text[:50]!r}; expected {FORM}.") from None
        return cls(left, top, right, bottom, unit)

    def __str__(self) -> str:
        """As it is parsed."""
        return ",".join(f"{side:.10g}" for side in (self.left, self.top, self.right, self.bottom))

    def box(self, width: int, height: int) -> Box:
        """The box in a photo of that size: left, top, right and bottom in pixels.

        Fractions are rounded to the nearest pixel.

        Raises:
            ImageError: It is empty, reversed, or not within the photo.
        """
        across, down = (width, height) if self.unit == "pixels" else (1, 1)
        found = f"crop: '{self}' in {self.unit}"
        photo = f"the photo, which has {width} x {height} pixels upright"
        if not (0 <= self.left < self.right <= across and 0 <= self.top < self.bottom <= down):
            raise ImageError(
                "outside",
                f"{found} is no part of {photo}. Expected 0 <= left < right <= {across} and "
                f"0 <= top < bottom <= {down}. The unit is fractions unless pixels are asked for.",
            )
        if self.unit == "pixels":
            return int(self.left), int(self.top), int(self.right), int(self.bottom)
        left, right = round(self.left * width), round(self.right * width)
        top, bottom = round(self.top * height), round(self.bottom * height)
        if left == right or top == bottom:
            raise ImageError(
                "outside", f"{found} is less than a pixel of {photo}. Make it wider or higher."
            )
        return left, top, right, bottom
