"""A key file is private, whole or absent, never overwritten, and explained when unusable."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from pubsub.errors import ParamError
from pubsub.host import keyfile
from pubsub.host.keyfile import load_key, load_or_create_key, save_key
from pubsub.identity import PrivateKey

KEY = PrivateKey(bytes(range(32)))


def one_line(excinfo: pytest.ExceptionInfo[ParamError]) -> str:
    text = str(excinfo.value)
    assert "\n" not in text
    return text


def test_a_new_key_is_made_once_and_found_again(tmp_path: Path) -> None:
    path = tmp_path / "node.key"
    made = load_or_create_key(path, entropy=lambda n: bytes(n))
    assert made.seed == bytes(32)
    assert load_or_create_key(path) == made
    assert load_key(str(path)) == made
    assert os.listdir(tmp_path) == ["node.key"]


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        save_key(tmp_path / "k", KEY)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "k").stat().st_mode) == 0o600


def test_the_file_is_the_protobuf_of_the_key(tmp_path: Path) -> None:
    save_key(tmp_path / "k", KEY)
    assert (tmp_path / "k").read_bytes() == KEY.protobuf


def test_saving_never_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "k"
    path.write_bytes(b"precious")
    with pytest.raises(ParamError) as excinfo:
        save_key(path, KEY)
    assert "exists" in one_line(excinfo)
    assert path.read_bytes() == b"precious"
    assert os.listdir(tmp_path) == ["k"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty"),
        (b"\x00" * 5000, "over 4096 bytes"),
        (b"hello, this is not a key", "not a libp2p private key"),
        (KEY.protobuf[:-1], "not a libp2p private key"),
        (KEY.protobuf[:-1] + b"\x00", "does not match"),
        (b"\x08\x00\x12\x02ab", "RSA"),
    ],
)
def test_a_damaged_file_is_explained(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "k"
    path.write_bytes(content)
    with pytest.raises(ParamError) as excinfo:
        load_or_create_key(path)
    assert f"key file {str(path)!r} cannot be used: " in one_line(excinfo)
    assert said in str(excinfo.value)
    assert "move it away to have a new key made" in str(excinfo.value)
    assert path.read_bytes() == content


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "k"
    for length in range(len(KEY.protobuf)):
        path.write_bytes(KEY.protobuf[:length])
        with pytest.raises(ParamError):
            load_key(path)


def test_what_is_not_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParamError) as excinfo:
        load_or_create_key(tmp_path)
    assert "is a directory" in one_line(excinfo)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ParamError) as excinfo:
        load_or_create_key(tmp_path / "pipe")
    assert "not a regular file" in one_line(excinfo)
    with pytest.raises(ParamError):
        load_key("/dev/zero")


def test_places_where_no_file_can_be(tmp_path: Path) -> None:
    with pytest.raises(ParamError) as excinfo:
        load_or_create_key(tmp_path / "missing" / "k")
    assert "no such file or directory" in one_line(excinfo)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ParamError):
        load_or_create_key(tmp_path / "file" / "k")
    with pytest.raises(ParamError):
        load_key(tmp_path / "absent")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ParamError):
        load_or_create_key(tmp_path / "dangling")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "k"
    save_key(path, KEY)
    path.chmod(0)
    with pytest.raises(ParamError) as excinfo:
        load_key(path)
    assert "permission denied" in one_line(excinfo)


def test_permission_denied_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: object) -> bytes:
        raise PermissionError(13, "Permission denied")

    save_key(tmp_path / "k", KEY)
    monkeypatch.setattr(keyfile, "_read", refuse)
    with pytest.raises(ParamError) as excinfo:
        load_key(tmp_path / "k")
    assert one_line(excinfo).endswith("permission denied")


def test_a_file_system_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: object, target: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    save_key(tmp_path / "k", KEY)
    assert load_key(tmp_path / "k") == KEY
    assert os.listdir(tmp_path) == ["k"]
    assert stat.S_IMODE((tmp_path / "k").stat().st_mode) == 0o600
    with pytest.raises(ParamError):
        save_key(tmp_path / "k", KEY)


def test_racing_processes_end_up_with_one_key(tmp_path: Path) -> None:
    path = tmp_path / "k"

    def slow_entropy(n: int) -> bytes:
        # While we make ours, somebody else finishes theirs.
        save_key(path, KEY)
        return os.urandom(n)

    assert load_or_create_key(path, entropy=slow_entropy) == KEY


def test_threads_may_race_too(tmp_path: Path) -> None:
    path = tmp_path / "k"
    found: list[PrivateKey] = []
    threads = [
        threading.Thread(target=lambda: found.append(load_or_create_key(path))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert os.listdir(tmp_path) == ["k"]
