"""Filters that have to do with what items look like, as those by kind or colour have."""

from contextlib import closing
from pathlib import Path
from statistics import median

import numpy as np
from vectors import Figures, K, each

from indexer.database import ReaderPool
from indexer.engines.faiss_engine import open_view
from indexer.engines.passing import passing_rows
from indexer.engines.search import Search
from indexer.engines.view import RowSet, catch_up, row_set

SHARES = (0.5, 0.25)


def by_looks(store: Path, queries: np.ndarray) -> Figures:
    """Recall and time where what passes lies on one side of a plane, and queries on both.

    Beside it what the index finds with the usual effort, had that not been measured.
    """
    figures: Figures = {}
    with closing(ReaderPool(store)) as pool:
        opened, lease = open_view(store, pool, None)
        with pool.read() as connection:
            view = catch_up(connection, opened)
            blocks = list(view.stream(connection, None))
            rows = np.concatenate([numbers for numbers, _ in blocks])
            side = np.concatenate([v @ np.eye(1, v.shape[1], dtype=v.dtype)[0] for _, v in blocks])

            def answers(passing: RowSet, *, exact: bool = False) -> tuple[list, list[float]]:
                search = Search(connection, view, K, frozenset(), passing)
                return each(queries, lambda query: search.run(query, exact=exact, effort=None)[0])

            for share in SHARES:
                among = np.sort(rows[side >= np.quantile(side, 1 - share)])
                kept = passing_rows(connection, view, among)
                true, _ = answers(kept, exact=True)
                name = f"{100 * share:g} % by looks"
                for how, passing in (("measured", kept), ("usual effort", row_set(among))):
                    found, times = answers(passing)
                    same = [
                        len({h.id for h in a} & {h.id for h in t}) / len(t)
                        for a, t in zip(found, true, strict=True)
                    ]
                    figures[f"{name}, {how}: recall@10"] = float(np.mean(same))
                    figures[f"{name}, {how}, ms"] = median(times)
        lease.release()
    return figures
