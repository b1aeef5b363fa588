"""Who is connected to whom: connection graphs as lists of (dialler, dialled)."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeAlias

Edges: TypeAlias = list[tuple[int, int]]


def line(nodes: Sequence[int]) -> Edges:
    """Each is connected to the next."""
    return list(pairwise(nodes))


def star(nodes: Sequence[int]) -> Edges:
    """All dial the first."""
    return [(node, nodes[0]) for node in nodes[1:]]


def full(nodes: Sequence[int]) -> Edges:
    """Each is connected to every other."""
    return [(a, b) for index, a in enumerate(nodes) for b in nodes[index + 1 :]]


def random_graph(nodes: Sequence[int], degree: int, rng: random.Random) -> Edges:
    """Each is connected to `degree` others, or a few more; the graph hangs together.

    Nodes come one after the other, look at some of the others and dial those
    with the fewest connections, so that degrees stay close to each other.
    """
    degree = min(degree, len(nodes) - 1)
    neighbours: dict[int, dict[int, None]] = {node: {} for node in nodes}
    edges: Edges = []

    def connect(a: int, b: int) -> None:
        neighbours[a][b] = neighbours[b][a] = None
        edges.append((a, b))

    # One ring through all of them, in random order, is what holds the graph together.
    order = rng.sample(nodes, len(nodes))
    if degree >= 2:
        for a, b in zip(order, order[1:] + order[:1], strict=True):
            if a != b and b not in neighbours[a]:
                connect(a, b)
    else:
        for a, b in line(order):
            connect(a, b)
    for me in order:
        wanted = degree - len(neighbours[me])
        if wanted <= 0:
            continue
        free = [node for node in nodes if node != me and node not in neighbours[me]]
        candidates = rng.sample(free, min(len(free), 4 * wanted))
        candidates.sort(key=lambda node: len(neighbours[node]))
        for other in candidates[:wanted]:
            connect(me, other)
    return edges


def by_name(name: str, degree: int, rng: random.Random) -> Callable[[Sequence[int]], Edges]:
    """The graph that a scenario names: random, line, star or full."""
    if name == "random":
        return lambda nodes: random_graph(nodes, degree, rng)
    return {"line": line, "star": star, "full": full}[name]
