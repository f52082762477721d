"""The same search behind LitServe: one API server, a worker for each core, batches of up to 16.

Batches are dynamic, as its documentation advises: a worker takes what waits, and waits itself no
longer than ``BATCH_TIMEOUT`` for more.
"""

import os
import sys

import litserve
from fastapi import UploadFile
from same_search import BATCH, Search

BATCH_TIMEOUT = 0.002


class SearchApi(litserve.LitAPI):
    """``POST /predict`` with a form whose file is ``request``."""

    def setup(self, device: str) -> None:
        """Load, in each worker."""
        del device
        self.search = Search()

    def decode_request(self, request: UploadFile):
        """From the upload to pixels."""
        return self.search.decode(request.file.read())

    def predict(self, pixels):
        """Embed and search a batch."""
        return self.search.find(list(pixels))

    def batch(self, inputs):
        """As they come: ``find`` stacks them."""
        return inputs

    def unbatch(self, output):
        """One answer for each."""
        return output

    def encode_response(self, output):
        """As JSON."""
        return {"items": output}


if __name__ == "__main__":
    server = litserve.LitServer(
        SearchApi(max_batch_size=BATCH, batch_timeout=BATCH_TIMEOUT),
        accelerator="cpu",
        workers_per_device=len(os.sched_getaffinity(0)),
    )
    server.run(
        host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning"
    )
