"""Two nodes that agreed to send each other everything, and a topic for large messages.

    python examples/direct_peers.py

Direct peers stay connected, are in no mesh of each other's, and are heard whatever
their score: for machines of one owner. Both sides must agree.
"""

from __future__ import annotations

import trio

import pubsub

LISTEN = ["/ip4/127.0.0.1/tcp/0"]
FILMS = {"films": pubsub.TopicParams(max_message_size=8 * 1024 * 1024, subscription_buffer=4)}


async def main() -> None:
    async with (
        pubsub.open_node(listen=LISTEN, topics=FILMS) as ann,
        pubsub.open_node(listen=LISTEN, topics=FILMS) as bob,
    ):
        ann.add_direct_peer(*bob.addresses)
        bob.add_direct_peer(*ann.addresses)
        async with bob.subscribe("films") as films, bob.trace(topic="films") as trace:
            await ann.wait_for_peers("films")
            receipts = await ann.publish_batch(
                [("films", bytes(5_000_000)), ("films", bytes(1_000_000))]
            )
            print("sent to", [len(receipt.peers) for receipt in receipts], "peers")
            for _ in receipts:
                film = await films.receive()
                print("received", len(film.data), "bytes")
            print("in ann's mesh:", len(ann.mesh("films")))
            traced = [one for one in await trace.receive_batch() if isinstance(one, pubsub.Deliver)]
            print("traced:", sum(len(event.messages) for event in traced), "deliveries")


if __name__ == "__main__":
    trio.run(main)
