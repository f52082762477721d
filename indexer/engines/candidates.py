"""The kinds of index that are tried, and how each is made, searched and weighed.

    Flat        compares with every vector; exact
    IVF-Flat    lists around k-means centres; effort is the number of lists looked at
    IVF-SQ8     the same with 8 bits a number
    IVF-RaBitQ  the same with one bit a number (Gao and Long, 2024); more of them are ranked again
    IVF-PQ      the same with four bits for four numbers together (Jegou et al., 2011), compared by
                table look-ups in registers (Andre et al., 2015); more of them are ranked again
    HNSW        a graph (Malkov and Yashunin, 2016); effort is the length of its list of candidates

Candidates of every kind are ranked again by their true vectors, which is the refinement that coarse
codes need.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import faiss

from indexer.engines.recall import fetch_width
from indexer.protocols import Vectors
from indexer.reading import Rows

FLAT = "Flat"
LINKS = 32
NUMBERS = 4  # of a vector that share a code of 4 bits
# FAISS asks for at least this many training vectors a list.
VECTORS_PER_LIST = 39
ROW_NUMBER = 8  # bytes


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of index.

    Attributes:
        name: As it stands in tables.
        coding: What stands behind the lists in FAISS's factory string; None is a graph.
        breadth: Candidates that are ranked again, as a multiple of what codes of 8 bits need.
        training: Fewer vectors than this do not teach it its codes.
        least: The effort to begin with.
        most: The effort to end with; None is the number of lists.
    """

    name: str
    coding: str | None
    breadth: int = 1
    training: int = 1
    least: int = 1
    most: int | None = None

    @property
    def unrounded(self) -> bool:
        """Whether its scores are those of the vectors themselves."""
        return self.coding in (None, "Flat")

    def width(self, limit: int) -> int:
        """How many candidates it has to give for ``limit`` answers."""
        return fetch_width(limit, self.breadth, unrounded=self.unrounded)

    def factory(self, lists: int, dim: int) -> str:
        """FAISS's factory string."""
        if self.coding is None:
            return f"HNSW{LINKS}"
        return f"IVF{lists},{product_coding(dim) if self.coding == 'PQ' else self.coding}"

    def bytes_per_item(self, dim: int) -> int:
        """Bytes of the index for an item, its row number with it; the lists' centres are extra."""
        code = {
            "Flat": 4 * dim,
            "SQ8": dim,
            "RaBitQfs": math.ceil(dim / 8) + 8,
            "PQ": math.ceil(parts(dim) / 2),
        }
        if self.coding is None:
            return 4 * dim + 2 * LINKS * 4 + ROW_NUMBER
        return code[self.coding] + ROW_NUMBER


KINDS = (
    Kind("IVF-Flat", "Flat"),
    Kind("IVF-SQ8", "SQ8"),
    Kind("IVF-RaBitQ", "RaBitQfs", breadth=8),
    Kind("IVF-PQ", "PQ", breadth=4, training=16 * VECTORS_PER_LIST),
    Kind("HNSW", None, least=16, most=1024),
)


def list_count(count: int, training: int) -> int:
    """How many lists for ``count`` items: about four times the square root, a power of two."""
    lists: int = 2 ** max(0, round(math.log2(4 * math.sqrt(count))))
    while lists > 1 and lists * VECTORS_PER_LIST > training:
        lists //= 2
    return lists


def parts(dim: int, numbers: int = NUMBERS) -> int:
    """Into how many parts a vector is cut for product codes: of so many numbers, or a few more."""
    return next(m for m in range(max(1, dim // numbers), 0, -1) if dim % m == 0)


def product_coding(dim: int, numbers: int = NUMBERS) -> str:
    """FAISS's name for product codes of 4 bits a part."""
    return f"PQ{parts(dim, numbers)}x4fs"


def find_centres(dim: int, lists: int, training: Vectors, seed: int) -> Vectors:
    """The centres (lists, dim) of the lists, by k-means over vectors (T, dim)."""
    index: Any = faiss.index_factory(dim, f"IVF{lists},Flat", faiss.METRIC_INNER_PRODUCT)
    index.cp.seed = seed
    index.train(training)
    centres: Vectors = index.quantizer.reconstruct_n(0, lists)
    return centres


def new_index(kind: Kind, dim: int, centres: Vectors, training: Vectors) -> Any:
    """An index without items, trained with vectors (T, dim); it takes ``add_with_ids``.

    Args:
        kind: Which.
        dim: Numbers in a vector.
        centres: (lists, dim) of its lists: the same for every kind that has some.
        training: What its codes are learned from.
    """
    if kind.coding is None:
        return new_graph(dim)
    factory = kind.factory(len(centres), dim)
    index: Any = faiss.index_factory(dim, factory, faiss.METRIC_INNER_PRODUCT)
    index.quantizer.add(centres)  # so that training is that of the codes alone
    index.train(training)
    return index


def new_graph(dim: int) -> Any:
    """A graph without items; it takes ``add_with_ids``."""
    graph: Any = faiss.IndexHNSWFlat(dim, LINKS, faiss.METRIC_INNER_PRODUCT)
    return faiss.IndexIDMap(graph)


def is_exact(factory: str) -> bool:
    """Whether an index holds the vectors unrounded, so that looking at all of it is exact."""
    return factory == FLAT or (factory.startswith("IVF") and factory.endswith(",Flat"))


def is_graph(factory: str) -> bool:
    """Whether it is a graph, whose effort is no number of lists."""
    return factory.startswith("HNSW")


def is_unrounded(factory: str) -> bool:
    """Whether an index gives the scores of the vectors themselves."""
    return is_exact(factory) or is_graph(factory)


def search_index(
    index: Any, queries: Vectors, width: int, *, effort: int, selector: Any = None
) -> tuple[Vectors, Rows]:
    """Scores and row numbers (B, width), best first; -1 pads where there are no more."""
    scores, rows = index.search(queries, width, params=parameters(index, effort, selector))
    return scores, rows


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
