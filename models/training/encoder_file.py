"""``encoder.onnx``: a weights folder's encoder as a graph that needs no torch to run.

The graph takes pixels (B, H, W, C) uint8 and gives vectors (B, dim) float32 of unit length: all
that ``embed`` does. At its end the file carries a seal: the fingerprint of the weights that it was
made from, and the SHA-256 of all before. A file from other weights, or with one bit turned, is
thus refused before it is run. The seal is two ``metadata_props`` in ONNX's own encoding (protocol
buffers: what is appended to a message is merged into it), so every ONNX tool reads the file.
"""

import os
from hashlib import sha256
from pathlib import Path

from models.training.weights import WeightsError, fingerprint_weights, write_atomically

ENCODER = "encoder.onnx"
INPUT, OUTPUT = "pixels", "vectors"
FINGERPRINT, DIGEST = "niteru.fingerprint", "niteru.sha256"


def keep_from_telling() -> None:
    """Keep ONNX Runtime from telling its makers where it runs; call this before it is imported.

    Its packages send events of every session from 1.3x on, and what is set once it is imported does
    not stop them. Who wants that sets ``ORT_DISABLE_TELEMETRY=0``.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


class EncoderError(WeightsError):
    """An exported encoder that is missing, damaged or made from other weights."""


def write_encoder(folder: Path, graph: bytes) -> Path:
    """Seal a serialised graph and put it beside the weights it was made from, whole or not at all.

    Raises:
        WeightsError: There are no weights in ``folder``.
        OSError: It cannot be written.
    """
    path = folder / ENCODER
    body = graph + _property(FINGERPRINT, fingerprint_weights(folder))
    write_atomically(path, body + _property(DIGEST, sha256(body).hexdigest()))
    return path


def read_encoder(folder: Path) -> bytes:
    """The serialised graph, known to be whole and of these weights.

    Raises:
        EncoderError: It is missing, damaged, or made from other weights; the message says which.
        WeightsError: There are no weights in ``folder``.
    """
    path = folder / ENCODER
    again = f"Make it with: niteru export {folder}"
    fingerprint = fingerprint_weights(folder)
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise EncoderError(f"{folder} has no {ENCODER}. {again}") from error
    except OSError as error:
        raise EncoderError(f"{path} cannot be read: {error}. {again}") from error
    length = len(_property(DIGEST, sha256().hexdigest()))
    body, seal = data[:-length], data[-length:]
    if seal != _property(DIGEST, sha256(body).hexdigest()):
        raise EncoderError(f"{path} is damaged: its checksum does not fit its content. {again}")
    if not body.endswith(_property(FINGERPRINT, fingerprint)):
        raise EncoderError(f"{path} was made from other weights than {fingerprint}. {again}")
    return data


def _property(key: str, value: str) -> bytes:
    """One entry of an ONNX model's ``metadata_props``, as protocol buffers encode it."""
    entry = _field(1, key.encode()) + _field(2, value.encode())
    return _field(14, entry)


def _field(number: int, value: bytes) -> bytes:
    """A field of bytes: its number and wire type 2, its length, itself."""
    assert number < 16, "one byte holds numbers to 15"
    assert len(value) < 128, "one byte holds lengths to 127"
    return bytes([number << 3 | 2, len(value)]) + value
