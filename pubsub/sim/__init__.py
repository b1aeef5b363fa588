"""A virtual network: routers, links and adversaries in one process, deterministic by seed."""

from pubsub.sim.adversaries import (
    RAW_PEERS,
    GraftFlooder,
    IhaveLiar,
    RawPeer,
    Silent,
    Spammer,
    raw_peer,
    silent,
)
from pubsub.sim.graphs import full, line, random_graph, star
from pubsub.sim.links import Conditions, Fixed, Latency, LogNormal, Uniform
from pubsub.sim.network import Network
from pubsub.sim.nodes import RouterNode
from pubsub.sim.report import Report, table
from pubsub.sim.scenarios import Scenario, hop_bound, silent_sybils

__all__ = [
    "RAW_PEERS",
    "Conditions",
    "Fixed",
    "GraftFlooder",
    "IhaveLiar",
    "Latency",
    "LogNormal",
    "Network",
    "RawPeer",
    "Report",
    "RouterNode",
    "Scenario",
    "Silent",
    "Spammer",
    "Uniform",
    "full",
    "hop_bound",
    "line",
    "random_graph",
    "raw_peer",
    "silent",
    "silent_sybils",
    "star",
    "table",
]
