"""From the bytes of an upload to the pixels a model sees: one path for all who need them."""

from models.images.crop import Crop
from models.images.decode import ImageError, decode_image
from models.images.masks import read_mask
from models.images.preprocessing import Preprocessing

__all__ = ["Crop", "ImageError", "Preprocessing", "decode_image", "read_mask"]
