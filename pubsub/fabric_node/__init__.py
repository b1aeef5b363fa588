"""Hyperledger Fabric's gossip on a GossipSub node.

    async with open_fabric_peer(signer, msp, params=V14, listen=[...]) as gossip:
        await gossip.join_channel(genesis_block, ledger=ledger, delivery=delivery)
        async for raw in gossip.blocks("mychannel"):
            ...

The names below are what users need; `docs/fabric.md` describes them.
"""

from pubsub.fabric.criteria import SendCriteria
from pubsub.fabric.ledger import Ledger, LedgerError, MemoryLedger
from pubsub.fabric.params import PRESETS, V3, V14, GossipParams
from pubsub.fabric.peer_state import Chaincode
from pubsub.fabric.pull_store import Mode
from pubsub.fabric.topics import Naming, Network, Scope
from pubsub.fabric.versioned_store import VersionedStore
from pubsub.fabric_node.delivery import Delivery, FileDelivery
from pubsub.fabric_node.inlets import Gossiped, Inlet, Received
from pubsub.fabric_node.local_orderer import LocalOrderer
from pubsub.fabric_node.msp_directory import read_msp, read_signer
from pubsub.fabric_node.news import BlockCommitted
from pubsub.fabric_node.open import open_fabric_peer
from pubsub.fabric_node.service import GossipService
from pubsub.fabric_node.sqlite_ledger import SqliteLedger
from pubsub.fabric_node.views import MembershipInfo, PeerInfo

__all__ = [
    "PRESETS",
    "V3",
    "V14",
    "BlockCommitted",
    "Chaincode",
    "Delivery",
    "FileDelivery",
    "GossipParams",
    "GossipService",
    "Gossiped",
    "Inlet",
    "Ledger",
    "LedgerError",
    "LocalOrderer",
    "MembershipInfo",
    "MemoryLedger",
    "Mode",
    "Naming",
    "Network",
    "PeerInfo",
    "Received",
    "Scope",
    "SendCriteria",
    "SqliteLedger",
    "VersionedStore",
    "open_fabric_peer",
    "read_msp",
    "read_signer",
]
