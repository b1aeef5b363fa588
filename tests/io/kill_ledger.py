"""Appends blocks to a ledger until it is killed; `test_sqlite_ledger` kills it.

    kill_ledger.py PATH SIZE

It prints the height it found, then each height that an append has returned for.
"""

from __future__ import annotations

import sys

from pubsub.fabric_node.sqlite_ledger import SqliteLedger
from tests.unit.fabric.chains import make_block


def main(path: str, size: int) -> None:
    with SqliteLedger.open(path, "mychannel") as ledger:
        print(ledger.height, flush=True)
        while True:
            number = ledger.height
            content = bytes([number % 256]) * size
            ledger.append(number, make_block(number, ledger.last_hash, [content]))
            print(ledger.height, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
