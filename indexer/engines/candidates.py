"""The kinds of index that are tried, and how each is made, searched and weighed.

    Flat        compares with every vector; exact
    IVF-Flat    lists around k-means centres; effort is the number of lists looked at
    IVF-SQ8     the same with 8 bits a number
    IVF-RaBitQ  the same with one bit a number (Gao and Long, 2024); more of them are ranked again
    HNSW        a graph (Malkov and Yashunin, 2016); effort is the length of its list of candidates

Candidates of every kind are ranked again by their true vectors, which is the refinement that coarse
codes need.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import faiss

from indexer.protocols import Vectors

FLAT = "Flat"
LINKS = 32
# FAISS asks for at least this many training vectors a list.
VECTORS_PER_LIST = 39
ROW_NUMBER = 8  # bytes


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of index.

    Attributes:
        name: As it stands in tables.
        coding: What stands behind the lists in FAISS's factory string; None is a graph.
        breadth: Candidates that are ranked again, as a multiple of what an exact index needs.
        least: The effort to begin with.
        most: The effort to end with; None is the number of lists.
    """

    name: str
    coding: str | None
    breadth: int = 1
    least: int = 1
    most: int | None = None

    def factory(self, lists: int) -> str:
        """FAISS's factory string."""
        return f"HNSW{LINKS}" if self.coding is None else f"IVF{lists},{self.coding}"

    def bytes_per_item(self, dim: int) -> int:
        """Bytes of the index for an item, its row number with it; the lists' centres are extra."""
        code = {"Flat": 4 * dim, "SQ8": dim, "RaBitQfs": math.ceil(dim / 8) + 8}
        if self.coding is None:
            return 4 * dim + 2 * LINKS * 4 + ROW_NUMBER
        return code[self.coding] + ROW_NUMBER

    def growth(self, tried: int, count: int) -> float:
        """How many times as long a search of ``count`` items takes as one of ``tried``.

        Lists grow with the square root of the number of items, the way through a graph with its
        logarithm.
        """
        if self.coding is None:
            return math.log(max(2, count)) / math.log(max(2, tried))
        return math.sqrt(count / tried)


KINDS = (
    Kind("IVF-Flat", "Flat"),
    Kind("IVF-SQ8", "SQ8"),
    Kind("IVF-RaBitQ", "RaBitQfs", breadth=8),
    Kind("HNSW", None, least=16, most=1024),
)


def list_count(count: int, training: int) -> int:
    """How many lists for ``count`` items: about twice the square root, a power of two."""
    lists: int = 2 ** max(0, round(math.log2(2 * math.sqrt(count))))
    while lists > 1 and lists * VECTORS_PER_LIST > training:
        lists //= 2
    return lists


def new_index(kind: Kind, dim: int, lists: int, training: Vectors, seed: int) -> Any:
    """An index without items, trained with vectors (T, dim); it takes ``add_with_ids``."""
    if kind.coding is None:
        graph: Any = faiss.IndexHNSWFlat(dim, LINKS, faiss.METRIC_INNER_PRODUCT)
        return faiss.IndexIDMap(graph)
    index: Any = faiss.index_factory(dim, kind.factory(lists), faiss.METRIC_INNER_PRODUCT)
    index.cp.seed = seed
    index.train(training)
    return index


def is_exact(factory: str) -> bool:
    """Whether an index holds the vectors unrounded, so that looking at all of it is exact."""
    return factory == FLAT or (factory.startswith("IVF") and factory.endswith(",Flat"))


def is_graph(factory: str) -> bool:
    """Whether it is a graph, whose effort is no number of lists."""
    return factory.startswith("HNSW")


def parameters(index: Any, effort: int, selector: Any = None) -> Any:
    """Search parameters of one call: they never touch the index, so calls cannot disturb others."""
    lists = isinstance(index, faiss.IndexIVF)
    if selector is None:
        return unselective(effort, lists=lists)  # making them is a fifth of a fast search
    return new_parameters(effort, selector, lists=lists)


def new_parameters(effort: int, selector: Any, *, lists: bool) -> Any:
    """FAISS's parameters for an index of lists, a graph, or (effort 0) a plain index."""
    # FAISS's own type hints do not know these keywords.
    plain: Any = faiss.SearchParameters
    listed: Any = faiss.SearchParametersIVF
    graph: Any = faiss.SearchParametersHNSW  # type: ignore[attr-defined]
    if lists:
        return listed(nprobe=effort, sel=selector)
    if effort:
        return graph(efSearch=effort, sel=selector)
    return plain(sel=selector)


@lru_cache(maxsize=64)
def unselective(effort: int, *, lists: bool) -> Any:
    """Parameters that leave nothing out; FAISS only reads them, so that threads share them."""
    return new_parameters(effort, None, lists=lists)
