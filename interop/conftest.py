"""Builds the foreign peers once; where a toolchain is missing, skips, or fails if that is asked."""

from __future__ import annotations

import os
from functools import cache

import pytest

from interop import peers


@cache
def _command(kind: str) -> tuple[str, ...]:
    return tuple(peers.build(kind))


def _ready(kind: str) -> list[str]:
    reason = peers.why_not(kind)
    if reason is not None:
        if os.environ.get("INTEROP_REQUIRED"):
            pytest.fail(f"{kind} peer: {reason}")
        pytest.skip(f"{kind} peer: {reason}")
    return list(_command(kind))


@pytest.fixture(params=["go", "js"])
def command(request: pytest.FixtureRequest) -> list[str]:
    """The command that runs a foreign peer."""
    return _ready(request.param)


@pytest.fixture
def js_node() -> str:
    """A Node that has the packages of interop/js."""
    return _ready("js")[0]
