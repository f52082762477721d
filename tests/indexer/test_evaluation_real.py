"""The reference figures of the comparators come out on the real photos."""

import pytest

from indexer.evaluation import compare_retrieval

pytestmark = pytest.mark.real_data

# R@1, R@10, background share, as measured elsewhere; about ±.03 is chance with 400 queries.
SWAP = {
    "raw pixels": (0.048, 0.115, 0.164),
    "PCA, whitened": (0.110, 0.292, 0.202),
    "HOG": (0.410, 0.630, 0.083),
}
# P@1, P@10 with the query's sender left out.
CLASSES = {
    "raw pixels": (0.287, 0.240),
    "PCA, whitened": (0.379, 0.294),
    "HOG": (0.451, 0.376),
}


def test_background_swap(real_data):
    reports = compare_retrieval(
        {}, real_data / "clothing", real_data / "background-swap", comparators=True
    )
    assert (reports[0].gallery_size, reports[0].query_count) == (3553, 400)
    for report in reports:
        figures = [report.figures[name].mean for name in ("R@1", "R@10", "background_share")]
        assert figures == pytest.approx(SWAP[report.embedder], abs=0.03), report.embedder


def test_classes_of_other_senders(real_data):
    reports = compare_retrieval(
        {}, real_data / "clothing" / "train", real_data / "clothing" / "validation",
        comparators=True,
    )  # fmt: skip
    assert (reports[0].gallery_size, reports[0].query_count) == (3023, 530)
    for report in reports:
        assert "photos of the query's sender" in report.left_out_of_classes
        figures = [report.figures[name].mean for name in ("P@1", "P@10")]
        assert figures == pytest.approx(CLASSES[report.embedder], abs=0.03), report.embedder
