"""Which part of a photo counts: the options of a request that say so."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from models.images import Crop
from models.images.crop import Unit
from service.errors import InvalidRequestError

MOST_CROPS = 32  # photos for and against, 16 of each


def as_text(given: object) -> object:
    """A box that came as a list of numbers, as the text that a query string would hold."""
    if isinstance(given, list | tuple):
        return ",".join(map(str, given))
    return given


def as_several(given: object) -> object:
    """One box, as a text or as numbers, as a list of it; null as none."""
    if given is None:
        return []
    numbers = isinstance(given, list) and all(
        isinstance(side, int | float) and not isinstance(side, bool) for side in given
    )
    return [given] if isinstance(given, str) or (given and numbers) else given


CropUnit = Annotated[
    Unit,
    Field(
        description="Of `crop`: `fractions` of the photo's sides, from 0 to 1, or whole "
        "`pixels`. Fractions without it."
    ),
]


class CropOptions(BaseModel):
    """A part of a photo; in the query or the form. Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid")

    crop: (
        Annotated[
            str,
            StringConstraints(max_length=200),
            BeforeValidator(as_text),
            Field(
                description="The part of the photo that counts: `left,top,right,bottom`, of the "
                "photo as it stands upright. In a JSON body a list may stand here.",
                examples=["0.1,0.25,0.6,0.9"],
            ),
        ]
        | None
    ) = None
    crop_unit: CropUnit | None = None


class CropsOptions(BaseModel):
    """Parts of several photos; in the form or the JSON. Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid")

    crop: Annotated[
        list[Annotated[str, StringConstraints(max_length=200), BeforeValidator(as_text)]],
        BeforeValidator(as_several),
        Field(
            max_length=MOST_CROPS,
            description="The part of each photo that counts, `left,top,right,bottom`, in the order "
            "`image`, `positives`, `positive_urls`, `negatives`, `negative_urls`; an empty one is "
            "all of a photo. In a JSON body a list of four numbers may stand for each.",
        ),
    ] = []
    crop_unit: CropUnit | None = None


def crop_of(options: CropOptions) -> Crop | None:
    """The part of a photo that a request asks for, None for all of it.

    Raises:
        InvalidRequestError: It is not four numbers, or a unit stands alone.
    """
    if options.crop is None:
        if options.crop_unit is not None:
            raise wrong(
                "crop_unit",
                f"'{options.crop_unit}' is the unit of a crop, and there is none. Send 'crop', or "
                "leave this out.",
            )
        return None
    try:
        return Crop.parse(options.crop, options.crop_unit or "fractions")
    except ValueError as error:
        raise wrong("crop", str(error)) from error


def crops_of(options: CropsOptions, photos: int) -> list[Crop | None]:
    """The part of each of several photos that a request asks for, None for all of one.

    Args:
        options: Either as many crops as photos, or none.
        photos: How many were sent or named by their URLs; items are none.

    Raises:
        InvalidRequestError: There are more or fewer crops than photos, or one is not four numbers.
    """
    unit = options.crop_unit
    if not options.crop:
        return [crop_of(CropOptions(crop_unit=unit))] * photos
    if not photos:
        raise wrong("crop", "An item is searched with as it was indexed, whole. Leave it out.")
    if len(options.crop) != photos:
        raise wrong(
            "crop",
            f"found {len(options.crop)} for {photos} photos; expected one for each, in the order "
            "image, positives, positive_urls, negatives, negative_urls. An empty one is all of a "
            "photo.",
        )
    return [crop_of(CropOptions(crop=one, crop_unit=unit)) if one else None for one in options.crop]


def refuse_crop(options: CropOptions, why: str) -> None:
    """Refuse the crop of a request that has nothing to crop; ``why`` is a sentence.

    Raises:
        InvalidRequestError: There is a crop.
    """
    for field in ("crop", "crop_unit"):
        if getattr(options, field) is not None:
            raise wrong(field, f"{why} Leave it out, or send one photo.")


def wrong(field: str, message: str) -> InvalidRequestError:
    """The error about a field."""
    return InvalidRequestError(
        f"{field}: {message}", extensions={"errors": [{"field": field, "message": message}]}
    )
