"""``niteru doctor``: what is wrong with a store, and what to do."""

from dataclasses import asdict
from pathlib import Path

from indexer.doctor import examine
from indexer.engines.choice import EngineChoice, milvus_extra
from models.training.weights import find_weights, fingerprint_weights
from service.commands.console import print_json

MARKS = {"error": "✗", "warning": "!", "note": "·"}


def run_doctor(store: Path, *, weights: str | None, choice: EngineChoice, as_json: bool) -> bool:
    """Print every finding; whether none is an error."""
    fingerprint = None if weights is None else fingerprint_weights(find_weights(weights))
    if choice.engine == "milvus":
        with milvus_extra():
            from indexer.milvus_doctor import examine_milvus  # noqa: PLC0415 - an extra
        found = examine_milvus(store, choice, fingerprint=fingerprint)
    else:
        found = examine(store, fingerprint=fingerprint)
    well = all(finding.severity != "error" for finding in found)
    if as_json:
        print_json({"well": well, "findings": [asdict(finding) for finding in found]})
        return well
    for finding in found:
        print(f"{MARKS[finding.severity]} {finding.what}")
        if finding.advice:
            print(f"  {finding.advice}")
    print("All is well." if well else "Something is wrong: see above.")
    return well
