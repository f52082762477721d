"""Prints the API's description, for ``tests/golden``.

python -m service.commands.openapi > tests/golden/openapi.json
"""

import sys
from pathlib import Path

from indexer.embedders import ColourLayoutEmbedder
from indexer.engines.exact import ExactEngine
from service.app import create_app
from service.openapi import render
from service.settings import Settings


def main() -> None:
    """Print the document of an application over nothing: it depends on no data and no weights."""
    embedder = ColourLayoutEmbedder()
    engine = ExactEngine(dim=embedder.dim, fingerprint=embedder.fingerprint)
    app = create_app(Settings(store=Path("store")), embedder=embedder, engine=engine)
    sys.stdout.write(render(app))


if __name__ == "__main__":
    main()
