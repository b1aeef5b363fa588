"""The smallest program: publish one message, print those of others.

    python examples/publish_subscribe.py [ADDRESS ...]

Run it twice, on one machine or on two of one LAN, and the two find each other.
Elsewhere, give one the address that the other prints. Ctrl-C ends it.
"""

import sys
from contextlib import suppress

import trio

import pubsub


async def main(known: list[str]) -> None:
    async with pubsub.open_node(listen=["/ip4/0.0.0.0/tcp/0"], bootstrap=known, mdns=True) as node:
        print("listening on", *node.addresses, flush=True)
        async with node.subscribe("weather") as messages:
            # A message goes to those who are there: wait for somebody first.
            await node.wait_for_peers("weather")
            receipt = await node.publish("weather", b"sunny")
            print("sent to", *receipt.peers, flush=True)
            async for message in messages:
                print(message.author, "says", message.data, flush=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        # Ctrl-C reaches `main`, and none of the tasks beside it.
        trio.run(main, sys.argv[1:], restrict_keyboard_interrupt_to_checkpoints=True)
