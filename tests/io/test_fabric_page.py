"""The programs of docs/fabric-peer.md do what the page says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio
import trio.testing

from tests.io.fabric_peers import SOON, Channel, open_town
from tests.io.nodes import until

if TYPE_CHECKING:
    import pytest

PAGE = Path(__file__).parents[2] / "docs" / "fabric-peer.md"
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


async def test_private_data_is_given_and_acknowledged(capsys: pytest.CaptureFixture[str]):
    (program,) = (each for each in PROGRAMS if "send_by_criteria" in each)
    names: dict[str, Any] = {}
    exec(compile(program, str(PAGE), "exec"), names)
    channel = Channel.make(orgs=(1,))
    async with open_town() as town:
        giver = await town.opens(1, 0)
        taker = await town.opens(1, 1, bootstrap=[giver])
        for each in (giver, taker):
            await town.joins(each, channel)
        await until(lambda: giver.peers_of_channel("sales"), SOON)
        await until(lambda: taker.peers_of_channel("sales"), SOON)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(names["take"], taker)
            # It reads what comes from when it has begun to.
            await trio.testing.wait_all_tasks_blocked()
            await names["give"](giver, b"data")
            nursery.cancel_scope.cancel()
    assert capsys.readouterr().out == "Org1MSP b'data'\n"
