"""Keys of a `core.yaml` that are likely misspelt.

Fabric passes over what it does not know, and so does this package: a file for Fabric has many
keys that mean nothing here. One that is nearly a key that does mean something is told of.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from pubsub.fabric.params import documented

Path = tuple[str, ...]

ENV_PREFIX = "CORE_PEER_"
NEAR = 0.8
"How alike two names are, by `difflib`, if one may be a slip for the other."

OWN = (
    *("peer.id", "peer.networkId", "peer.listenAddress", "peer.address", "peer.addressAutoDetect"),
    *("peer.localMspId", "peer.mspConfigPath", "peer.fileSystemPath"),
)
"The keys that count beside those of `GossipParams`."

ALSO_FABRICS = (
    *("peer.localMspType", "peer.chaincodeAddress", "peer.chaincodeListenAddress", "peer.client"),
    *("peer.gossip.stateInfoRetentionInterval", "peer.gossip.skipBlockVerification"),
    *("peer.gossip.pvtData", "peer.gossip.nonBlockingCommitMode", "peer.gossip.skipHandshake"),
    *("peer.deliveryclient.reConnectBackoffThreshold", "peer.deliveryclient.connTimeout"),
)
"Keys of Fabric's that mean nothing here, and are like others."


def _sections(keys: Iterable[str]) -> dict[Path, dict[str, str]]:
    """What may stand in each section: the name in small letters, and as it is written."""
    found: dict[Path, dict[str, str]] = defaultdict(dict)
    for key in keys:
        parts = key.split(".")
        for depth, part in enumerate(parts):
            found[tuple(parts[:depth])][part.lower()] = part
    return {tuple(each.lower() for each in path): names for path, names in found.items()}


COUNTING = _sections([*OWN, *(key for key, _, _ in documented())])
FABRICS = _sections(ALSO_FABRICS)


def doubtful_keys(core: Mapping[str, Any], environ: Mapping[str, str]) -> list[str]:
    """A line for each key or variable that looks like another."""
    found = [_line(path, ".") for path in _paths(core)]
    variables = sorted(name for name in environ if name.upper().startswith(ENV_PREFIX))
    found += [_line(tuple(name.split("_")), "_") for name in variables]
    return [line for line in found if line]


def _line(path: Path, joint: str) -> str:
    """What is to be said of a key, or of a variable if `joint` is "_"; empty if nothing is."""
    is_key = joint == "."
    meant = _meant(path if is_key else path[1:])
    if not meant:
        return ""
    text = joint.join(meant) if is_key else joint.join(["CORE", *meant]).upper()
    return f"{joint.join(path)} is not known: is {text} meant?"


def _paths(core: Mapping[str, Any], above: Path = ()) -> Iterator[Path]:
    """The path of each key in the sections that count."""
    for name, value in core.items():
        path = (*above, str(name))
        yield path
        if isinstance(value, Mapping) and _small(path) in COUNTING:
            yield from _paths(value, path)


def _meant(path: Path) -> Path | None:
    """What stands there if the last part of `path` is a slip; None if there is none."""
    *above, name = path
    names = COUNTING.get(_small(above), {})
    if name.lower() in names or name.lower() in FABRICS.get(_small(above), {}):
        return None
    near = get_close_matches(name.lower(), names, 1, NEAR)
    return (*above, names[near[0]]) if near else None


def _small(path: Iterable[str]) -> Path:
    return tuple(each.lower() for each in path)
