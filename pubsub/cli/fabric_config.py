"""Fabric's `core.yaml` as a peer needs it, with `CORE_PEER_*` of the environment above it.

    config = PeerConfig.read(Path("core.yaml"), os.environ, base=V14)

Keys mean what they mean in Fabric, and are compared without regard to case; paths are
relative to the file. Keys that mean nothing here are passed over. Everything that is wrong
raises ParamError in one line, which names the key.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pubsub.cli.fabric_keys import doubtful_keys
from pubsub.errors import ParamError
from pubsub.fabric.params import V3, GossipParams, key_of

FILE = "core.yaml"
FOLDER_VARIABLE = "FABRIC_CFG_PATH"
ENV_PREFIX = "CORE_"
MAX_FILE_BYTES = 1 << 20
NO_YAML = "reading core.yaml needs PyYAML: install gossipsub-trio[fabric], or pyyaml"
LOOPBACK = ("127.0.0.1", "localhost")
SHORTEST = 1e-6
"Seconds of the shortest time that somebody may mean."
ANY_ADDRESS = "0.0.0.0:7051"
"Where Fabric's sample core.yaml listens."


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerConfig:
    """What `core.yaml` says of one peer."""

    peer_id: str
    network_id: str
    listen: str
    "A multiaddr."

    msp_id: str
    msp_path: Path
    data_path: Path
    params: GossipParams
    doubts: tuple[str, ...] = ()
    "Keys that are likely misspelt, a line each."

    @classmethod
    def read(cls, path: Path, environ: Mapping[str, str], *, base: GossipParams = V3) -> PeerConfig:
        """What the file and the environment say; gossip's numbers they omit are `base`'s."""
        settings = Settings.read(path, environ)
        try:
            params = GossipParams.read(settings.core, settings.environ, base=base)
            check_times(params)
            listen = settings.text("peer.listenAddress") or ANY_ADDRESS
            return cls(
                peer_id=settings.text("peer.id") or "peer",
                network_id=settings.text("peer.networkId") or "dev",
                listen=multiaddr_of("peer.listenAddress", listen),
                msp_id=settings.required("peer.localMspId"),
                msp_path=settings.path("peer.mspConfigPath"),
                data_path=settings.path("peer.fileSystemPath"),
                params=params.replaced(
                    endpoint=params.endpoint or settings.address(),
                    bootstrap=_others(params.bootstrap, listen),
                ),
                doubts=tuple(doubtful_keys(settings.core, settings.environ)),
            )
        except ParamError as error:
            raise ParamError(f"{settings.origin(str(error))}: {error}") from error


@dataclass(frozen=True, slots=True)
class Settings:
    """Keys and values of a `core.yaml` and the environment."""

    source: Path
    core: Mapping[str, Any]
    environ: Mapping[str, str]

    @classmethod
    def read(cls, path: Path, environ: Mapping[str, str]) -> Settings:
        # As for viper, a variable without content is none.
        return cls(path, load_yaml(path), {name: text for name, text in environ.items() if text})

    def text(self, key: str) -> str:
        """The value of `key`; empty if there is none."""
        if variable := self.variable(key):
            return self.environ[variable]
        found: Any = self.core
        for part in key.lower().split("."):
            if not isinstance(found, Mapping):
                raise ParamError(f"{key}: what is above it has no keys")
            found = {str(name).lower(): value for name, value in found.items()}.get(part)
            if found is None:
                return ""
        if isinstance(found, Mapping | list):
            raise ParamError(f"{key} is one text, not a {type(found).__name__}")
        return str(found).strip()

    def variable(self, key: str) -> str:
        """The variable that overrules `key`; empty if none is set."""
        wanted = ENV_PREFIX + key.replace(".", "_").upper()
        return next((name for name in self.environ if name.upper() == wanted), "")

    def origin(self, error: str) -> str:
        """Where that stands which an error names first: a variable, or the file."""
        key = re.match(r"[\w.]*", error)
        return (key and self.variable(key[0])) or str(self.source)

    def required(self, key: str) -> str:
        """The value of `key`. Raises ParamError if there is none."""
        if not (found := self.text(key)):
            raise ParamError(f"{key} is missing")
        return found

    def path(self, key: str) -> Path:
        """The path under `key`, seen from the file."""
        return (self.source.parent / self.required(key)).absolute()

    def address(self) -> str:
        """`peer.address`, with our own address where it names none, as Fabric detects it."""
        host, port = host_and_port("peer.address", self.text("peer.address") or ANY_ADDRESS)
        detected = self.text("peer.addressAutoDetect").lower() in ("true", "1", "t")
        if detected or _is_unspecified(host):
            host = own_address()
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def check_times(params: GossipParams) -> None:
    """Raises ParamError for times so short that they must be numbers without a unit.

    To Fabric these are nanoseconds.
    """
    for each in fields(params):
        value = getattr(params, each.name)
        if isinstance(value, float) and value < SHORTEST:
            number = round(value * 1e9)
            raise ParamError(f"{key_of(each.name)}: {number} is nanoseconds; is {number}s meant?")


def default_config(environ: Mapping[str, str]) -> Path:
    """`core.yaml` in the folder that FABRIC_CFG_PATH names, or in this one."""
    return Path(environ.get(FOLDER_VARIABLE) or ".") / FILE


def check_yaml() -> None:
    """Raises ParamError if there is nothing to read YAML with."""
    if find_spec("yaml") is None:
        raise ParamError(NO_YAML)


def load_yaml(path: Path) -> Mapping[str, Any]:
    """The content of a YAML file, which must be keys and values. Raises ParamError."""
    check_yaml()
    import yaml

    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ParamError(f"cannot read {str(path)!r}: {_reason(error)}") from error
    if len(content) > MAX_FILE_BYTES:
        raise ParamError(f"{path} is over {MAX_FILE_BYTES:,} bytes long")
    try:
        found = yaml.safe_load(content)
    # Of a date that there is not, the parser says so with a ValueError of its own.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ParamError(f"{path} is not YAML: {_first_words(error)}") from error
    if not isinstance(found, Mapping):
        raise ParamError(f"{path} has no keys: it is not a core.yaml")
    return found


def multiaddr_of(key: str, text: str) -> str:
    """Where to listen, as a multiaddr; Fabric writes `host:port`. Raises ParamError."""
    if text.startswith("/"):
        return text
    host, port = host_and_port(key, text)
    try:
        address = ipaddress.ip_address(host or "0.0.0.0")
    except ValueError:
        address = ipaddress.ip_address(_resolved(key, host))
    return f"/ip{address.version}/{address}/tcp/{port}"


def host_and_port(key: str, text: str) -> tuple[str, int]:
    """The two parts of `host:port` or `[host]:port`. Raises ParamError."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdecimal() or int(port) > 0xFFFF:
        raise ParamError(f"{key} is written as host:port, not {text!r}")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _others(endpoints: Sequence[str], listen: str) -> tuple[str, ...]:
    """Without those that are this machine at our own port: Fabric's sample names itself."""
    port = listen.rpartition(":")[2]
    ours = {f"{host}:{port}" for host in LOOPBACK}
    return tuple(endpoint for endpoint in endpoints if endpoint not in ours)


def own_address() -> str:
    """The address by which this machine would go out; loopback if it is alone."""
    # Connecting a datagram socket sends nothing; it asks the routing table.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        address: str = probe.getsockname()[0]
        return address


def _is_unspecified(host: str) -> bool:
    try:
        return not host or ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _resolved(key: str, host: str) -> str:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ParamError(f"{key}: {host!r} is no address of this machine: {error}") from error
    return str(found[0][4][0])


def _reason(error: OSError) -> str:
    return (error.strerror or os.strerror(error.errno or 0)).lower()


def _first_words(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
