"""Starts each engine in turn."""

import pytest

from tests.contract.engines import ENGINES, PAIRS, Harness, Pairs


@pytest.fixture(params=sorted(ENGINES))
def start(request, tmp_path):
    opened: list[Harness] = []

    def begin(pairs: Pairs = PAIRS) -> Harness:
        opened.append(ENGINES[request.param](tmp_path / str(len(opened)), pairs))
        return opened[-1]

    yield begin
    for harness in opened:
        harness.engine.close()
