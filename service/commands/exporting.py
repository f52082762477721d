"""``niteru export``: weights made ready to be served."""

from models.training.checkpoint import find_weights
from models.training.encoder_file import read_encoder
from models.training.export import export_encoder
from service.commands.console import print_json, say, use_one_thread


def run_export(name: str, *, as_json: bool) -> None:
    """Make the encoder.onnx of weights, in place of the one they may have."""
    use_one_thread()
    folder = find_weights(name)
    say(f"Exporting the encoder of {folder} ...")
    made = export_encoder(folder)
    read_encoder(folder)  # as whoever serves it will
    if as_json:
        print_json({"path": str(made.path), "bytes": made.bytes, "cosine": made.cosine})
        return
    print(
        f"{made.path}: {made.bytes / 1e6:.1f} MB; its vectors and torch's have a cosine of "
        f"at least {made.cosine:.6f}."
    )
