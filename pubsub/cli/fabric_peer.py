"""`pubsub-fabric peer`: one peer of a Fabric network, from its core.yaml, until it is stopped."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import trio

from pubsub.cli.command_run import CommandRun, Terminal
from pubsub.cli.fabric_control import serve_control
from pubsub.cli.fabric_data import PeerData
from pubsub.cli.fabric_events import View, changes, lines_of
from pubsub.cli.fabric_options import PeerOptions
from pubsub.cli.fabric_status import CountedDelivery, PeerStatus
from pubsub.cli.log_lines import warnings_to
from pubsub.cli.printable import printable
from pubsub.errors import LocalError, ParamError
from pubsub.fabric.blocks import Block, parse_block
from pubsub.fabric.identity_errors import IdentityError
from pubsub.fabric.ledger import LedgerError
from pubsub.fabric_node.delivery import FileDelivery
from pubsub.fabric_node.msp_directory import read_msp, read_signer
from pubsub.fabric_node.open import open_fabric_peer
from pubsub.fabric_node.sqlite_ledger import SqliteLedger
from pubsub.host.keyfile import load_or_create_key

if TYPE_CHECKING:
    from pubsub.fabric_node.service import GossipService

PROGRAM = "pubsub-fabric"
LOOK_INTERVAL = 0.2
"Seconds between two looks at what has changed; a height is told so often at most."


def run(options: PeerOptions) -> int:
    """Run a peer until it is told to end; the exit status. Raises LocalError if it cannot run."""
    return PeerRun(options).run()


class PeerRun(CommandRun):
    """One run of `pubsub-fabric peer`."""

    def __init__(self, options: PeerOptions) -> None:
        super().__init__(PROGRAM)
        self._options = options
        self._config = options.config
        self._data = PeerData(options.config.data_path)
        self._ledgers: dict[str, SqliteLedger] = {}
        self._deliveries: dict[str, CountedDelivery] = {}
        self._terminal: Terminal

    async def serve(self, terminal: Terminal) -> int:
        self._terminal = terminal
        config = self._config
        for doubt in config.doubts:
            self._say(doubt)
        msp = read_msp(config.msp_path, config.msp_id)
        signer = read_signer(config.msp_path, config.msp_id)
        self._data.make()
        async with AsyncExitStack() as stack:
            stack.enter_context(self._data.locked())
            stack.enter_context(warnings_to(self._say))
            genesis = self._open_ledgers(stack)
            opening = open_fabric_peer(
                signer,
                msp,
                network=config.network_id,
                params=config.params,
                listen=[config.listen],
                key=load_or_create_key(self._data.key),
            )
            try:
                service = await stack.enter_async_context(opening)
            except IdentityError as error:
                raise ParamError(f"{config.msp_path}: {error}") from error
            await self._live(service, genesis)
        return 0

    async def _live(self, service: GossipService, genesis: dict[str, Block]) -> None:
        status = PeerStatus(service, self._ledgers, self._deliveries)
        async with trio.open_nursery() as nursery:
            self._tell(self._started(service))
            self._tell({"event": "listening", "addrs": list(map(str, service.node.addresses))})
            await nursery.start(serve_control, self._data.socket, status.answer)
            for name, block in genesis.items():
                await self._join(service, name, block)
            before = View()
            while True:
                after = status.view()
                for event in changes(before, after):
                    self._tell(event)
                before = after
                await trio.sleep(LOOK_INTERVAL)

    # -- Channels

    def _open_ledgers(self, stack: AsyncExitStack) -> dict[str, Block]:
        """Open the ledger of every channel; the genesis block of each."""
        given = {each.channel: each.genesis for each in self._options.channels}
        genesis: dict[str, Block] = {}
        for name in dict.fromkeys([*given, *self._data.channels]):
            path = self._data.make_place(name)
            ledger = stack.enter_context(SqliteLedger.open(path, name))
            stored = ledger.block(0)
            if stored is None and name in given:
                ledger.append(0, given[name].raw)
                stored = given[name].raw
            if stored is None:
                # It was killed between making the file and writing to it.
                self._say(f"{name}: its ledger is empty, so it is not joined: --channel-block")
                continue
            genesis[name] = parse_block(stored)
            if name in given and given[name].hash != genesis[name].hash:
                raise LedgerError(f"{path} is of another channel that is called {name!r}, too")
            self._ledgers[name] = ledger
            if folder := self._options.deliveries.get(name):
                self._deliveries[name] = CountedDelivery(FileDelivery(folder))
        return genesis

    async def _join(self, service: GossipService, name: str, genesis: Block) -> None:
        given = [each.channel for each in self._options.channels]
        delivery = self._deliveries.get(name)
        try:
            await service.join_channel(genesis.raw, ledger=self._ledgers[name], delivery=delivery)
        except LocalError as error:
            if name in given:
                raise
            # Joined earlier, and our organization may have been removed since.
            self._say(f"{name}: not joined again: {error}")

    # -- Output

    def _started(self, service: GossipService) -> dict[str, Any]:
        config = self._config
        return {
            "event": "started",
            "id": config.peer_id,
            "org": config.msp_id,
            "network": config.network_id,
            "pki_id": service.pki_id.hex(),
            "peer": str(service.node.peer_id),
            "endpoint": config.params.endpoint,
            "external_endpoint": config.params.external_endpoint,
            "data": str(self._data.path),
        }

    def _tell(self, event: dict[str, Any]) -> None:
        if self._options.json:
            self._terminal.out.write(json.dumps(event))
        elif not self._options.quiet:
            for line in lines_of(event):
                self._terminal.out.write(line)

    def _say(self, text: str) -> None:
        """Tell of a problem."""
        if self._options.json:
            self._terminal.out.write(json.dumps({"event": "error", "message": text}))
        else:
            self._terminal.err.write(f"{PROGRAM}: {printable(text)}")
