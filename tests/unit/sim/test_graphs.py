import random
from collections import Counter

import pytest

from pubsub.sim.graphs import Edges, by_name, full, line, random_graph, star

NODES = [10, 11, 12, 13]


def test_line_star_and_full() -> None:
    assert line(NODES) == [(10, 11), (11, 12), (12, 13)]
    assert star(NODES) == [(11, 10), (12, 10), (13, 10)]
    assert full(NODES) == [(10, 11), (10, 12), (10, 13), (11, 12), (11, 13), (12, 13)]
    assert line([1]) == star([1]) == full([1]) == []


def reachable(edges: Edges) -> set[int]:
    found, grown = {edges[0][0]}, True
    while grown:
        more = {n for edge in edges if found & set(edge) for n in edge} - found
        found |= more
        grown = bool(more)
    return found


@pytest.mark.parametrize(("count", "degree"), [(100, 20), (50, 4), (30, 2), (20, 1), (9, 8)])
def test_random_graphs_hang_together_and_have_their_degree(count: int, degree: int) -> None:
    edges = random_graph(range(count), degree, random.Random(5))
    degrees = Counter(node for edge in edges for node in edge)
    assert len({frozenset(edge) for edge in edges}) == len(edges)
    assert all(a != b for a, b in edges)
    # Of a tree, the leaves; a degree of one cannot hang together otherwise.
    assert min(degrees[node] for node in range(count)) >= degree
    assert max(degrees.values()) <= degree + 4
    assert reachable(edges) == set(range(count))


def test_a_degree_beyond_the_others_is_cut() -> None:
    edges = random_graph(range(4), 20, random.Random(1))
    assert len(edges) == 6
    assert random_graph([7], 3, random.Random(1)) == []
    assert random_graph([7, 8], 3, random.Random(1)) in ([(7, 8)], [(8, 7)])


def test_the_same_chance_gives_the_same_graph() -> None:
    def graph(seed: int) -> Edges:
        return random_graph(range(40), 6, random.Random(seed))

    assert graph(1) == graph(1)
    assert graph(1) != graph(2)


def test_graphs_by_name() -> None:
    rng = random.Random(1)
    assert by_name("star", 3, rng)(NODES) == star(NODES)
    assert by_name("line", 3, rng)(NODES) == line(NODES)
    assert by_name("full", 3, rng)(NODES) == full(NODES)
    assert len(by_name("random", 3, rng)(NODES)) == 6
