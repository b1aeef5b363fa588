"""Gives the tests of the command their stage."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pubsub.cli.options import Options
from tests.unit.cli.stage import Stage


@pytest.fixture
def make_stage():
    stages: list[Stage] = []

    def make(*topics: str, **options: Any) -> Stage:
        stage = Stage(replace(Options(topics=topics or ("A",)), **options))
        stages.append(stage)
        return stage

    yield make
    for stage in stages:
        stage.close()
