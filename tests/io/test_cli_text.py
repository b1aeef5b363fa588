"""`pubsub-node` as people use it: real processes, real sockets, on loopback."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.io.cli_process import COMMAND, ROOT, Start, start_node

__all__ = ["start_node"]


def test_two_people_talk(start: Start) -> None:
    ann = start()
    address = ann.address()
    bob = start("--connect", address)
    bob.err.until("peer joined A: 12D3…" + address[-6:])
    ann.err.until("peer joined A: 12D3…")
    bob.type("hello from bob\n")
    assert ann.out.next().endswith(": hello from bob")
    ann.type(b"\x1b]0;owned\x07 \xff\n")
    assert bob.out.next() == f"[A] 12D3…{address[-6:]}: \\x1b]0;owned\\x07 \\xff"
    bob.signal()
    ann.err.until("peer left A: 12D3…")


@pytest.mark.slow
def test_a_relay_stands_between_two_people_and_prints_nothing(start: Start) -> None:
    relay = start("--relay", "A", topics=(), stdin=subprocess.DEVNULL)
    address = relay.address()
    ann, bob = start("--verbose", "--connect", address), start("--verbose", "--connect", address)
    for node in (ann, bob):
        node.err.until(f"mesh of A: +12D3…{address[-6:]}, now 1 peer")
    for _ in range(2):
        relay.err.until("peer joined A: 12D3…")
    bob.type("through the relay\n")
    assert ann.out.next().endswith(": through the relay")
    relay.signal()
    assert relay.out.rest() == []
    ann.err.until(f"mesh of A: -12D3…{address[-6:]}, now 0 peers")


@pytest.mark.slow
def test_a_direct_peer_gets_everything_and_one_that_is_not_there_is_said(start: Start) -> None:
    ann = start()
    missing = "/ip4/127.0.0.1/tcp/1/p2p/12D3KooWGzxzKZYveHXtpG6AsrUJBcWxHBFS2HsEoGTxrMLvKXtf"
    bob = start("--direct", ann.address(), "--direct", missing)
    assert "trying on" in bob.err.until(f"pubsub-node: direct peer {missing}: ")
    bob.err.until("peer joined A: 12D3…")
    bob.type("directly\n")
    assert ann.out.next().endswith(": directly")


@pytest.mark.slow
def test_several_topics(start: Start) -> None:
    ann = start(topics=("A", "B"))
    bob = start("--connect", ann.address(), topics=("B", "A"))
    for _ in range(2):
        bob.err.until("peer joined")
    bob.type("B: for b\nneither\nA:for a\n")
    bob.err.until('line 2: write "TOPIC: text" with one of B, A')
    lines = sorted([ann.out.next(), ann.out.next()])
    assert [(line[:3], line.rsplit(": ", 1)[1]) for line in lines] == [
        *(("[A]", "for a"), ("[B]", "for b"))
    ]


@pytest.mark.slow
def test_piped_input_waits_for_a_first_peer_and_all_of_it_arrives(start: Start) -> None:
    count = 2000
    sender = start("--quit-at-eof")
    address = sender.address()
    sender.type("".join(f"line {n}\n" for n in range(count)))
    sender.end_input()
    sender.err.until("waiting up to 10 s for a first peer in A")
    receiver = start("--connect", address, stdin=subprocess.DEVNULL)
    lines = [receiver.out.next() for _ in range(count)]
    assert [line.rsplit(": ", 1)[1] for line in lines] == [f"line {n}" for n in range(count)]
    assert sender.wait() == 0
    assert receiver.process.poll() is None, "without --quit-at-eof a node outlives its input"


@pytest.mark.slow
def test_a_typist_with_nobody_there_is_told(start: Start) -> None:
    master, slave = os.openpty()
    node = start("--quit-at-eof", stdin=slave)
    node.address()
    os.write(master, b"hello?\n\x04")
    assert node.wait() == 1
    assert node.err.rest() == [
        "nobody is in A yet: the message reached no one",
        "pubsub-node: nobody was there: 1 message of 1 reached no peer",
    ]
    os.close(master)
    os.close(slave)


@pytest.mark.slow
def test_a_file_with_a_line_that_is_too_long(start: Start, tmp_path: Path) -> None:
    (tmp_path / "lines").write_text("x" * 5_000_000 + "\nshort\nno line end")
    ann = start("--param", "max_message_size=1000", stdin=subprocess.DEVNULL)
    with (tmp_path / "lines").open() as file:
        bob = start(
            *("--param", "max_message_size=1000", "--quit-at-eof", "--connect", ann.address()),
            stdin=file,
        )
    bob.err.until("line 1 is 5,000,000 bytes long; a message holds at most 1,000")
    assert ann.out.next().endswith(": short")
    assert ann.out.next().endswith(": no line end")
    assert bob.wait() == 1


@pytest.mark.slow
def test_a_key_file_keeps_the_peer_id(start: Start, tmp_path: Path) -> None:
    key = str(tmp_path / "k")
    nodes = [start("--key", key) for _ in range(2)]  # even if both make it at one time
    first, second = (node.address().rsplit("/", 1)[1] for node in nodes)
    assert first == second


@pytest.mark.slow
def test_verbose_tells_of_the_mesh(start: Start) -> None:
    ann = start("--verbose")
    bob = start("--verbose", "--connect", ann.address())
    for node in (ann, bob):
        node.err.until("connected 12D3…")
        node.err.until("mesh of A: +12D3…")


@pytest.mark.slow
def test_anonymous_messages(start: Start) -> None:
    ann = start("--sign", "none")
    bob = start("--sign", "none", "--connect", ann.address())
    bob.err.until("peer joined")
    bob.type("who am I\n")
    assert ann.out.next() == "[A] anonymous: who am I"


@pytest.mark.slow
def test_a_bootstrap_node_may_come_later(start: Start) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"/ip4/127.0.0.1/tcp/{free.getsockname()[1]}"
    bob = start("--bootstrap", address)
    bob.address()
    start("--listen", address, "--no-mdns", alone=False)
    bob.err.until("peer joined A")


# The end.


@pytest.mark.slow
def test_signals_end_it_quickly_and_cleanly(start: Start) -> None:
    ann = start()
    address = ann.address()
    statuses = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
    nodes = [start("--connect", address) for _ in statuses]
    for node in nodes:
        node.err.until("peer joined")
        ann.err.until("peer joined")
    for node, (number, status) in zip(nodes, statuses.items(), strict=True):
        assert node.signal(number) < 1
        assert node.wait() == status
        assert not [line for line in node.err.rest() if not line.startswith("peer ")]
        # A clean close tells the other side at once.
        asked = time.monotonic()
        ann.err.until("peer left")
        assert time.monotonic() - asked < 1


@pytest.mark.slow
def test_ctrl_c_while_nothing_is_read_and_everything_is_stuck(start: Start) -> None:
    """Standard input, output and error are all pipes that nobody serves."""
    ends = [os.pipe() for _ in range(2)]
    ann = start()
    bob = start(
        *("--publish-interval", "0.001", "--verbose", "--connect", ann.address()),
        **{"stdout": ends[0][1], "stderr": ends[1][1]},
    )
    ann.err.until("peer joined")
    ann.type("x" * 100_000 + "\n")
    ann.out.until(" message ")
    assert bob.signal() < 1
    assert bob.wait() == 130
    for end in [end for pair in ends for end in pair]:
        os.close(end)


@pytest.mark.slow
def test_ctrl_c_while_dialling(start: Start) -> None:
    # A listener that never says a word.
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"/ip4/127.0.0.1/tcp/{mute.getsockname()[1]}"
        node = start("--connect", address, "--bootstrap", address)
        connection, _ = mute.accept()
        node.address()
        assert node.signal() < 1
        connection.close()


@pytest.mark.slow
def test_a_stalled_reader_costs_lines_and_never_the_node(start: Start) -> None:
    source, sink = os.pipe()
    ann = start(stdin=subprocess.DEVNULL, stdout=sink)
    os.close(sink)
    bob = start("--connect", ann.address())
    bob.err.until("peer joined")
    for _ in range(40):
        bob.type(("y" * 1_000_000) + "\n")
    said = ann.err.until("lost: standard output is not being read")
    assert int(said.split()[1].replace(",", "")) > 0
    # The node is well, and says more to whoever listens.
    start("--connect", ann.err.seen[0].removeprefix("listening on "))
    ann.err.until("peer joined")
    os.close(source)
    assert ann.wait() == 0


@pytest.mark.slow
def test_a_reader_that_leaves_ends_the_node(start: Start) -> None:
    source, sink = os.pipe()
    node = start(stdout=sink)
    os.close(sink)
    node.address()
    os.close(source)
    assert node.wait() == 0
    assert node.err.rest() == []


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has /dev/full")
def test_a_full_disk_is_said(start: Start) -> None:
    with open("/dev/full", "wb") as full:
        node = start("--json", stdout=full)
        assert node.wait() == 1
    assert node.err.rest() == [
        "pubsub-node: cannot write to standard output: no space left on device"
    ]


@pytest.mark.slow
def test_lines_that_nobody_takes_at_the_end_are_counted(start: Start) -> None:
    source, sink = os.pipe()
    node = start("--json", stdout=sink)
    os.close(sink)
    for _ in range(3000):
        node.type('{"do":"snapshot"}\n')
    node.type('{"do":"quit"}\n')
    assert node.wait() == 0
    (line,) = node.err.rest()
    assert "lost at the end: standard output is not being read" in line
    os.close(source)


@pytest.mark.slow
def test_head_takes_one_message(start: Start) -> None:
    ann = start("--publish-interval", "0.05", stdin=subprocess.DEVNULL)
    pipeline = f"{' '.join(COMMAND)} -t A --no-mdns --connect {ann.address()} | head -1"
    result = subprocess.run(
        ["sh", "-c", pipeline],
        **{"cwd": ROOT, "stdin": subprocess.DEVNULL, "capture_output": True, "timeout": 10},
    )
    assert b" message " in result.stdout
    assert b"Traceback" not in result.stderr


@pytest.mark.slow
def test_closed_descriptors_are_no_obstacle(start: Start) -> None:
    ann = start()
    command = f"exec {' '.join(COMMAND)} -t A --no-mdns --connect {ann.address()} <&- >&- 2>&-"
    bob = subprocess.Popen(["sh", "-c", command], cwd=ROOT)
    try:
        ann.err.until("peer joined")
        ann.type("hello\n")
        bob.terminate()
        assert bob.wait(5) == 143
    finally:
        bob.kill()
        bob.wait()


# What cannot work.


@pytest.mark.slow
def test_a_port_in_use_is_one_line_and_status_2(start: Start) -> None:
    address = start().address().split("/p2p/")[0]
    second = start("--listen", address, "--no-mdns", alone=False)
    assert second.wait() == 2
    (line,) = second.err.rest()
    assert line.startswith("pubsub-node: ")
    assert address.rsplit("/", 1)[1] in line
    assert "in use" in line


@pytest.mark.slow
def test_a_foreign_address_is_one_line_and_status_2(start: Start) -> None:
    node = start("--listen", "/ip4/198.51.100.7/tcp/0", "--no-mdns", alone=False)
    assert node.wait() == 2
    assert len(node.err.rest()) == 1


# mDNS.


@pytest.mark.slow
def test_two_nodes_on_one_machine_find_each_other_without_an_address(start: Start) -> None:
    topic = f"mdns-{os.urandom(6).hex()}"
    # Listening on loopback only, they announce themselves there only.
    ann, bob = (
        start("--listen", "/ip4/127.0.0.1/tcp/0", alone=False, topics=(topic,)) for _ in range(2)
    )
    ann.err.until(f"peer joined {topic}")
    bob.err.until(f"peer joined {topic}")
    bob.type("found you\n")
    assert ann.out.next().endswith(": found you")
    assert bob.signal() < 1
    assert ann.signal() < 1
