"""What a measurement refuses.

IndexerError
└── EvaluationError             a figure that could not be trusted is not given
    ├── PhotoSetError           a folder, manifest or idx file that is not a labelled photo set
    ├── UnreadablePhotoError    a photo of a set cannot be decoded; none is ever skipped
    └── NothingToMeasureError   the two sets share no item, label or sender
"""

from indexer.errors import IndexerError


class EvaluationError(IndexerError):
    """A measurement that cannot be made as asked."""


class PhotoSetError(EvaluationError):
    """The photos or what is known of them cannot be read; the message names file and line."""


class UnreadablePhotoError(EvaluationError):
    """A photo cannot be decoded; leaving it out would change the figure."""


class NothingToMeasureError(EvaluationError):
    """Nothing known of the queries is known of the gallery."""
