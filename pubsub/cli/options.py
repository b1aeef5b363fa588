"""What the command line of `pubsub-node` asked for, checked before anything is opened.

Everything a person can get wrong raises ParamError with one line that says
what to change.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pubsub.errors import ParamError
from pubsub.identity import Address, PrivateKey, parse_address
from pubsub.params import Params, Signing

DEFAULT_LISTEN = "/ip4/0.0.0.0/tcp/0"
LONGEST_INTERVAL = 365 * 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    topics: tuple[str, ...]
    "Those that are read, and to which lines of text go."
    relay: tuple[str, ...] = ()
    "Those that are passed on unread."
    listen: tuple[Address, ...] = ()
    connect: tuple[Address, ...] = ()
    "Dialled once."
    bootstrap: tuple[Address, ...] = ()
    "Dialled for as long as the node lives."
    direct: tuple[Address, ...] = ()
    "Direct peers, each with its id."
    key: PrivateKey | None = None
    params: Params = field(default_factory=Params)
    publish_interval: float | None = None
    json: bool = False
    quit_at_eof: bool = False
    mdns: bool = True
    quiet: bool = False
    verbose: bool = False


def parse_params(settings: Iterable[str], sign: str) -> Params:
    """`NAME=VALUE` texts, the later one winning, and the signing policy."""
    texts: dict[str, str] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name.strip():
            raise ParamError(f"--param takes NAME=VALUE, for example d=8, not {setting!r}")
        texts[name.strip()] = value.strip()
    return Params(signing=Signing(sign)).with_texts(texts)


def parse_topics(topics: Sequence[str], params: Params) -> tuple[str, ...]:
    """Topics as they may be subscribed to, each once."""
    for topic in topics:
        check_topic(topic, params)
    return tuple(dict.fromkeys(topics))


def check_topic(topic: str, params: Params) -> None:
    """Raises ParamError if `topic` cannot be one."""
    try:
        size = len(topic.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise ParamError(f"topic {topic!r} is not text in UTF-8") from error
    if not size:
        raise ParamError("a topic must have a name, not be empty")
    if size > params.max_topic_length:
        raise ParamError(
            f"topic {topic[:20]!r}… is {size:,} bytes long; "
            f"at most {params.max_topic_length:,} (parameter max_topic_length)"
        )


def parse_addresses(option: str, texts: Iterable[str]) -> tuple[Address, ...]:
    """Addresses given to `option`, each once."""
    addresses: dict[Address, None] = {}
    for text in texts:
        try:
            addresses[parse_address(text)] = None
        except ParamError as error:
            raise ParamError(f"{option}: {error}") from error
    return tuple(addresses)


def parse_direct(texts: Iterable[str]) -> tuple[Address, ...]:
    """Addresses of direct peers, each once; they must say whose they are."""
    addresses = parse_addresses("--direct", texts)
    for address in addresses:
        if address.peer is None:
            raise ParamError(f"--direct: {address} must end in the peer's id: /p2p/PEER-ID")
    return addresses


def check_use(topics: Sequence[str], relay: Sequence[str], interval: float | None) -> None:
    """Raises ParamError if there is no topic at all, or none for what must have one."""
    if not topics and not relay:
        raise ParamError("no topic: name at least one with --topic, for example --topic A")
    if not topics and interval is not None:
        raise ParamError("--publish-interval publishes to the topics of --topic: name one")


def parse_interval(text: str | None) -> float | None:
    """Seconds between demonstration messages, if any are wanted."""
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= LONGEST_INTERVAL:
        raise ParamError(f"--publish-interval takes seconds above 0, not {text!r}")
    return seconds
