"""What every engine says of the catalogue as a whole: its attributes, its map."""

from dataclasses import replace

from indexer.filters import parse_filter
from indexer.protocols import Facet, Item
from tests.contract.engines import draw_pairs


def test_facets_count_what_passes(start) -> None:
    kinds = [{"kind": "a", "n": 1}, {"kind": "a", "n": 1.5, "new": True}, {"kind": "b", "n": "1"},
             {"kind": None, "new": False}, {}]  # fmt: skip
    pairs = [
        (Item(item.id, item.uri, item.sha256, kinds[number % 5]), vector)
        for number, (item, vector) in enumerate(draw_pairs(10))
    ]
    engine = start(pairs).engine
    assert engine.facets() == {
        "kind": Facet(6, 2, [("a", 4), ("b", 2)]),
        "n": Facet(6, 3, [("1", 2), (1, 2), (1.5, 2)]),  # in the order of their JSON
        "new": Facet(4, 2, [(False, 2), (True, 2)]),
    }
    where = parse_filter('{"must": [{"key": "kind", "match": "a"}]}')
    assert engine.facets(where) == {
        "kind": Facet(4, 1, [("a", 4)]),
        "n": Facet(4, 2, [(1, 2), (1.5, 2)]),
        "new": Facet(2, 1, [(True, 2)]),
    }
    assert engine.facets(most=1)["n"] == Facet(6, 3, [("1", 2)])


def test_the_names_of_attributes_follow_what_is_written(start) -> None:
    (one, vector), (two, other), (three, last) = draw_pairs(3)
    harness = start([(replace(one, attributes={"kind": "a", "none": None}), vector)])
    assert harness.engine.attributes() == {"kind"}
    assert harness.engine.attributes() == {"kind"}  # remembered
    harness.upsert([(replace(two, attributes={"größe": 1.5, "new": False}), other)])
    assert harness.engine.attributes() == {"kind", "größe", "new"}
    assert "kind" in harness.engine.attributes(sought="kind")
    harness.upsert([(replace(two, attributes={"new": True, "none": 0}), other)])
    assert "none" in harness.engine.attributes(sought="none")  # it was not known yet
    assert harness.engine.attributes() >= {"kind", "new", "none"}
    assert harness.engine.attributes() <= {"kind", "new", "none", "größe"}
    harness.publish([(replace(three, attributes={"later": ""}), last)])
    harness.engine.refresh()
    assert "later" in harness.engine.attributes()


def test_a_map_shows_what_is_there(start) -> None:
    pairs = draw_pairs(30)
    harness = start(pairs)
    harness.publish(pairs)
    harness.engine.refresh()
    places = harness.engine.layout()
    assert sorted(place.id for place in places) == [item.id for item, _ in pairs]
    assert all(0 <= place.x <= 1 and 0 <= place.y <= 1 for place in places)
    assert len({(place.x, place.y) for place in places}) > 25
    harness.delete(["i003"])
    assert "i003" not in {place.id for place in harness.engine.layout()}
