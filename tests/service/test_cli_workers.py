"""``--workers`` of ``niteru index``: a number of threads, or ray, which is an extra."""

import sys

import pytest

from service.cli import main


@pytest.mark.parametrize("word", ["0", "-1", "two", "Ray", "1.5", ""])
def test_what_is_neither_a_number_nor_ray_is_refused(word, tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        main(["index", str(tmp_path), "--store", str(tmp_path / "s"), f"--workers={word}"])
    assert end.value.code == 2
    assert "nor ray" in capsys.readouterr().err
    assert not (tmp_path / "s").exists()


def test_without_ray_it_is_said_how_to_install_it(tmp_path, capsys, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("indexer.ray_")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SystemExit) as end:
        main(["index", str(tmp_path), "--store", str(tmp_path / "s"), "--workers", "ray"])
    assert end.value.code == 1
    assert "pip install '.[ray]'" in capsys.readouterr().err
