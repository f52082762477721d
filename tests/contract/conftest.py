"""Starts each engine in turn."""

import pytest

from tests.contract.engines import ENGINES, MILVUS, PAIRS, Harness, MilvusHarness, Pairs


@pytest.fixture(params=sorted([*ENGINES, *MILVUS]))
def start(request, tmp_path):
    opened: list[Harness] = []
    uri = request.getfixturevalue("milvus_lite").uri if request.param in MILVUS else ""

    def begin(pairs: Pairs = PAIRS) -> Harness:
        folder = tmp_path / str(len(opened))
        if request.param in MILVUS:
            opened.append(MilvusHarness(folder, pairs, MILVUS[request.param], uri=uri))
        else:
            opened.append(ENGINES[request.param](folder, pairs))
        return opened[-1]

    yield begin
    for harness in opened:
        harness.engine.close()
        if isinstance(harness, MilvusHarness):
            harness.close()
