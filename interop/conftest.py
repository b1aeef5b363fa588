"""Builds the foreign peers once; where a toolchain is missing, skips, or fails if that is asked."""

from __future__ import annotations

import os
from functools import cache

import pytest

from interop import peers


@cache
def _command(kind: str) -> tuple[str, ...]:
    return tuple(peers.build(kind))


@pytest.fixture(params=["go", "js"])
def command(request: pytest.FixtureRequest) -> list[str]:
    """The command that runs a foreign peer."""
    reason = peers.why_not(request.param)
    if reason is not None:
        if os.environ.get("INTEROP_REQUIRED"):
            pytest.fail(f"{request.param} peer: {reason}")
        pytest.skip(f"{request.param} peer: {reason}")
    return list(_command(request.param))
