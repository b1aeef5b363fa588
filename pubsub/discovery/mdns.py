"""Finding peers on this machine and this LAN by multicast DNS, without any address.

    trio: run_mdns ── starts, stops ──► thread: zeroconf on an asyncio loop of its own
              ▲                              │ asks now and then, answers others
              └───── addresses, bounded ─────┘

zeroconf needs asyncio, hence the thread; nothing else of it is used than
sending, receiving and answering. Multicast goes out on every IPv4 interface,
loopback by name, so two nodes on one machine meet even without a network.
A network that is missing or refuses costs discovery, never the node.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import trio

from pubsub.discovery.mdns_records import (
    MAX_TEXT_BYTES,
    SERVICE,
    KnownPeers,
    announced,
    decode_txt,
    encode_txt,
    random_peer_name,
)
from pubsub.identity import Address, PeerId

if TYPE_CHECKING:
    from zeroconf import RecordUpdate, ServiceInfo, Zeroconf
    from zeroconf.asyncio import AsyncZeroconf

LOOPBACK = "127.0.0.1"
MULTICAST_GROUP = "224.0.0.251"
MAX_INTERFACES = 16
"Linux lets a socket join 20 multicast groups."
MAX_WAITING = 256
"Announcements that trio has not looked at yet; more are dropped and come again."
FIRST_QUERY_WAIT, LAST_QUERY_WAIT = 1.0, 60.0
"Queries are repeated at growing intervals (RFC 6762 §5.2)."
CHECK_INTERVAL = 5.0
"How often our addresses and the machine's interfaces are looked at."
RETRY_INTERVAL = 30.0
CLOSE_TIMEOUT = 0.5
TYPE_PTR, TYPE_TXT, CLASS_IN = 12, 16, 1

OnFound = Callable[[list[Address]], None]


class Announced(Protocol):
    """What is needed of a host."""

    @property
    def peer_id(self) -> PeerId: ...

    @property
    def addresses(self) -> list[Address]: ...


async def run_mdns(
    host: Announced,
    on_found: OnFound,
    *,
    service: str = SERVICE,
    interfaces: list[str] | None = None,
    on_failure: Callable[[str], None] | None = None,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Announce `host` and report the peers heard of, until cancelled.

    `on_found` gets the addresses of one peer at a time. `interfaces` are IPv4
    addresses of this machine; by default all of them, watched for changes.
    """
    name = random_peer_name(os.urandom)
    inbox = _Inbox(trio.lowlevel.current_trio_token(), host.peer_id)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(inbox.deliver, on_found)
        task_status.started()
        while True:
            chosen = interfaces or local_interfaces()
            own = announced(host.addresses, host.peer_id)
            session = _Session(_Announcement(service, name, own), chosen, inbox)

            def unchanged(own: list[Address] = own, chosen: list[str] = chosen) -> bool:
                now_own = announced(host.addresses, host.peer_id)
                return now_own == own and (interfaces or local_interfaces()) == chosen

            await _run_while(session, unchanged)
            if session.failure is not None:
                if on_failure is not None:
                    on_failure(session.failure)
                await trio.sleep(RETRY_INTERVAL)


def local_interfaces() -> list[str]:
    """The IPv4 addresses of this machine, in a stable order, loopback always among them."""
    import ifaddr

    try:
        found = {ip.ip for adapter in ifaddr.get_adapters() for ip in adapter.ips if ip.is_IPv4}
    except OSError:
        # No descriptor is left to ask with; loopback is there all the same.
        return [LOOPBACK]
    others = sorted(str(ip) for ip in found if ip != LOOPBACK)
    return [LOOPBACK, *others[: MAX_INTERFACES - 1]]


def takes_multicast(interface: str) -> bool:
    """False for an interface that is gone or cannot; zeroconf would fail because of one such."""
    group = socket.inet_aton(MULTICAST_GROUP) + socket.inet_aton(interface)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
            trial.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
    except OSError:
        return False
    return True


async def _run_while(session: _Session, unchanged: Callable[[], bool]) -> None:
    """Run the session in its thread until something changes, it fails, or we are cancelled."""

    async def run_thread(*, task_status: trio.TaskStatus[trio.CancelScope]) -> None:
        with trio.CancelScope(shield=True) as scope:
            task_status.started(scope)
            await trio.to_thread.run_sync(
                session.run, abandon_on_cancel=True, limiter=trio.CapacityLimiter(1)
            )
            nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        thread_scope = await nursery.start(run_thread)
        try:
            while True:
                await trio.sleep(CHECK_INTERVAL)
                if not unchanged():
                    break
        finally:
            session.stop()
            # The goodbye takes milliseconds; a thread that hangs is left behind.
            thread_scope.deadline = trio.current_time() + CLOSE_TIMEOUT


@dataclass(frozen=True, slots=True)
class _Announcement:
    service: str
    name: str
    addresses: list[Address]

    def service_info(self) -> ServiceInfo:
        from zeroconf import ServiceInfo

        ips = [str(a.ip) for a in self.addresses if a.ip is not None and a.ip.version == 4]
        return ServiceInfo(
            self.service,
            f"{self.name}.{self.service}",
            # SRV needs a port; libp2p reads only the addresses in the TXT record.
            port=self.addresses[0].port,
            properties=encode_txt(self.addresses),
            server=f"{self.name}.local.",
            parsed_addresses=list(dict.fromkeys(ips)),
        )


@dataclass(slots=True)
class _Inbox:
    """Where the thread leaves what it heard, and trio finds it."""

    token: trio.lowlevel.TrioToken
    own: PeerId
    known: KnownPeers = field(default_factory=KnownPeers)
    waiting: deque[list[Address]] = field(default_factory=deque)
    arrived: trio.Event = field(default_factory=trio.Event)

    def put(self, raw: bytes) -> None:
        """Called in the thread, with a TXT record from anyone on the network."""
        addresses = decode_txt(raw, self.own)
        if not addresses or len(self.waiting) >= MAX_WAITING:
            return
        if self.known.is_news(addresses, now=time.monotonic()):
            self.waiting.append(addresses)
            try:
                self.token.run_sync_soon(self._wake, idempotent=True)
            except trio.RunFinishedError:
                return

    def _wake(self) -> None:
        self.arrived.set()

    async def deliver(self, on_found: OnFound) -> None:
        while True:
            await self.arrived.wait()
            self.arrived = trio.Event()
            while self.waiting:
                on_found(self.waiting.popleft())


class _Session:
    """One life of zeroconf: a set of interfaces and one announcement."""

    def __init__(self, announcement: _Announcement, interfaces: list[str], inbox: _Inbox) -> None:
        self.failure: str | None = None
        "Why it ended by itself, if it did."
        self._announcement = announcement
        self._interfaces = interfaces
        self._inbox = inbox
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over = asyncio.Event()
        self._stopped = False

    def run(self) -> None:
        """The thread: returns when stopped, or with `failure` set."""
        from zeroconf import Error

        try:
            asyncio.run(self._main())
        except (OSError, Error, TimeoutError) as error:
            self.failure = str(error) or type(error).__name__

    def stop(self) -> None:
        """End the session, from any thread, at any time."""
        # _main sets the loop and then looks at the flag, so one of us sees the other.
        self._stopped = True
        if self._loop is not None:
            try:
                self._loop.call_soon_threadsafe(self._over.set)
            except RuntimeError:
                return  # it has ended already

    async def _main(self) -> None:
        from zeroconf import IPVersion
        from zeroconf.asyncio import AsyncZeroconf

        self._loop = asyncio.get_running_loop()
        if self._stopped:
            return
        usable = [ip for ip in self._interfaces if takes_multicast(ip)]
        if not usable:
            raise OSError("no network interface takes multicast")
        responder = AsyncZeroconf(interfaces=usable, ip_version=IPVersion.V4Only)
        try:
            await responder.zeroconf.async_wait_for_start()
            await self._serve(responder)
        finally:
            goodbye = responder.zeroconf.generate_unregister_all_services()
            if goodbye is not None:
                responder.zeroconf.async_send(goodbye)
            await responder.async_close()

    async def _serve(self, responder: AsyncZeroconf) -> None:
        zeroconf = responder.zeroconf
        service = self._announcement.service
        zeroconf.async_add_listener(_txt_listener(service, self._inbox), None)
        if self._announcement.addresses:
            # The name is random: no need to ask first whether it is taken.
            await responder.async_register_service(
                self._announcement.service_info(), cooperating_responders=True
            )
        wait = FIRST_QUERY_WAIT
        while not self._over.is_set():
            _send_query(zeroconf, service)
            try:
                await asyncio.wait_for(self._over.wait(), wait)
            except TimeoutError:
                # Everyone answers everyone: where many are known, ask more rarely.
                wait = min(2 * wait, max(LAST_QUERY_WAIT, float(len(self._inbox.known))))


def _send_query(zeroconf: Zeroconf, service: str) -> None:
    """Ask who is there, without naming whom we know: all shall answer.

    A browser of zeroconf would name the peers in its cache, and those would
    stay silent although our connection to them may be lost.
    """
    # Exported by every version, though not listed as public.
    from zeroconf import DNSOutgoing, DNSQuestion  # type: ignore[attr-defined]

    query = DNSOutgoing(0)
    query.add_question(DNSQuestion(service, TYPE_PTR, CLASS_IN))
    zeroconf.async_send(query)


def _txt_listener(service: str, inbox: _Inbox) -> Any:
    """A listener that passes on the raw TXT records below `service`.

    Raw, because zeroconf's `properties` keeps only the first of several equal keys.
    """
    from zeroconf import RecordUpdateListener

    suffix = f".{service}".lower()

    class TxtListener(RecordUpdateListener):
        def async_update_records(
            self, zc: Zeroconf, now: float, records: list[RecordUpdate]
        ) -> None:
            # rust-libp2p sends one TXT record for each address, all under one name.
            texts: dict[str, bytes] = {}
            for update in records:
                record: Any = update.new
                if record.type != TYPE_TXT or not record.ttl:
                    continue
                name = record.name.lower()
                if name.endswith(suffix):
                    texts[name] = (texts.get(name, b"") + record.text)[:MAX_TEXT_BYTES]
            for raw in texts.values():
                inbox.put(raw)

    return TxtListener()
