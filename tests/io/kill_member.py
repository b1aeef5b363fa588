"""One node in a process of its own, driven over JSON lines; `test_kill` kills some of these.

Its configuration is the argument: `{"key": HEX, "listen": ADDR, "bootstrap": [ADDR, …]}`.
It says `{"ready": PEER}`, then `{"got": [NUMBER, …]}` as messages come. It takes
`{"publish": [first, count, rate]}` and answers `{"published": [NUMBER, …], "nobody": N}` when
all have been sent; `{"show": true}` and answers with its snapshot; `{"leave": true}` ends it.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import trio

import pubsub

TOPIC = "kill"


def say(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


async def report(messages: pubsub.Subscription) -> None:
    while True:
        batch = await messages.receive_batch(1000)
        say(got=[int(message.data[:12]) for message in batch])


async def publish(node: pubsub.Node, first: int, count: int, rate: float) -> None:
    started = trio.current_time()
    done: list[int] = []
    nobody = 0
    for number in range(first, first + count):
        await trio.sleep_until(started + (number - first) / rate)
        receipt = await node.publish(TOPIC, b"%012d" % number + bytes(500))
        nobody += not receipt.peers
        done.append(number)
    say(published=done, nobody=nobody)


async def obey(node: pubsub.Node, nursery: trio.Nursery) -> None:
    async with trio.lowlevel.FdStream(0) as source:
        buffered = b""
        async for data in source:
            *lines, buffered = (buffered + data).split(b"\n")
            for line in lines:
                order = json.loads(line)
                if "publish" in order:
                    nursery.start_soon(publish, node, *order["publish"])
                elif "show" in order:
                    say(snapshot=node.snapshot())
                elif "leave" in order:
                    nursery.cancel_scope.cancel()
    nursery.cancel_scope.cancel()


async def main(config: dict[str, Any]) -> None:
    key = pubsub.PrivateKey(bytes.fromhex(config["key"]))
    async with (
        pubsub.open_node(listen=[config["listen"]], bootstrap=config["bootstrap"], key=key) as node,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(report, node.subscribe(TOPIC, capacity=100_000))
        say(ready=str(node.peer_id))
        await obey(node, nursery)


if __name__ == "__main__":
    trio.run(main, json.loads(sys.argv[1]))
