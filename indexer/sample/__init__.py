"""The sample catalogue: rendered clothes and accessories whose every factor is known.

An item (what it is) and a scene (background, wearer, camera) are drawn apart, so any photo can be
rendered again with one factor changed. That makes it at once the demo, the test data with known
truth, and the instrument that tells whether an embedding follows the item or what is around it.
"""

from indexer.sample.item import Cut, Item, draw_item, draw_items
from indexer.sample.kinds import KINDS
from indexer.sample.render import Rendered, render
from indexer.sample.scene import (
    Background,
    Camera,
    Scene,
    Wearer,
    change_background,
    change_camera,
    change_wearer,
    draw_scene,
    nudge_camera,
)
from indexer.sample.settings import CatalogueSettings, SampleError, read_settings
from indexer.sample.write import Factor, write_catalogue, write_queries

__all__ = [
    "KINDS",
    "Background",
    "Camera",
    "CatalogueSettings",
    "Cut",
    "Factor",
    "Item",
    "Rendered",
    "SampleError",
    "Scene",
    "Wearer",
    "change_background",
    "change_camera",
    "change_wearer",
    "draw_item",
    "draw_items",
    "draw_scene",
    "nudge_camera",
    "read_settings",
    "render",
    "write_catalogue",
    "write_queries",
]
