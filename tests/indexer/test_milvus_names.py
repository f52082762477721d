"""Names and addresses of Milvus, told apart without a server."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.engines.choice import EngineChoice, check_name
from indexer.engines.milvus_names import collection_name, generation_of


@given(st.text(max_size=40))
def test_only_names_that_milvus_takes_are_taken(word):
    plain = word.isascii() and word.isidentifier()
    if plain:
        assert check_name(word) == word
    else:
        with pytest.raises(ValueError, match="alias"):
            check_name(word)


@pytest.mark.parametrize("uri", ["store.db", "", "127.0.0.1:19530", "http://", "ftp://h:1"])
def test_only_addresses_of_servers_are_taken(uri):
    with pytest.raises(ValueError, match="milvus-lite server"):
        EngineChoice("milvus", uri)
    assert "secret" not in repr(EngineChoice("milvus", token="root:secret"))


def test_a_collection_is_told_from_its_name():
    assert generation_of(collection_name("a_b", "20261125T101500Z-1a2b"), "a_b") == (
        "20261125T101500Z-1a2b"
    )
    assert generation_of("a_b_20261125T101500Z_1a2b", "a") is None
    assert generation_of("a_b_c", "a_b") is None
