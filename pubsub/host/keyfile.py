"""A node's key in a file, so that its peer id outlives the process.

The file holds the key as libp2p writes it (the protobuf of an Ed25519 private
key) and is made readable by its owner only. It appears under its name whole or
not at all, and is never overwritten.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

from pubsub.errors import ParamError
from pubsub.identity import PrivateKey

MAX_FILE_BYTES = 4096
OWNER_ONLY = 0o600


def load_or_create_key(
    path: str | os.PathLike[str], *, entropy: Callable[[int], bytes] = os.urandom
) -> PrivateKey:
    """Read the key in `path`; if there is no such file, make a key and save it there.

    Raises ParamError, in one line, if the file cannot be read, made or understood.
    """
    if os.path.lexists(path):
        return load_key(path)
    key = PrivateKey.generate(entropy)
    try:
        _create(Path(path), key.protobuf)
    except FileExistsError:
        # Another process was quicker; the two must end up with one key.
        return load_key(path)
    except OSError as error:
        raise _unusable("make", path, error) from error
    return key


def load_key(path: str | os.PathLike[str]) -> PrivateKey:
    """Read the key in `path`.

    Raises ParamError, in one line, if that cannot be done.
    """
    try:
        encoded = _read(path)
    except OSError as error:
        raise _unusable("read", path, error) from error
    if not encoded:
        raise _no_key(path, "it is empty")
    if len(encoded) > MAX_FILE_BYTES:
        raise _no_key(path, f"it is over {MAX_FILE_BYTES} bytes long")
    try:
        return PrivateKey.from_protobuf(encoded)
    except ParamError as error:
        raise _no_key(path, str(error)) from error


def save_key(path: str | os.PathLike[str], key: PrivateKey) -> None:
    """Write `key` to a new file that only its owner may read.

    Raises ParamError, in one line, if the file exists or cannot be made.
    """
    try:
        _create(Path(path), key.protobuf)
    except OSError as error:
        raise _unusable("make", path, error) from error


def _read(path: str | os.PathLike[str]) -> bytes:
    # Without O_NONBLOCK, opening a named pipe would wait for a writer for ever.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        mode = os.fstat(handle).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "Not a regular file")
        return file.read(MAX_FILE_BYTES + 1)


def _create(path: Path, content: bytes) -> None:
    """Write a file beside `path`, then give it that name; fails if the name is taken."""
    handle, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # made with 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(handle)
        # Unlike rename, link refuses a name that exists.
        os.link(draft, path)
    except PermissionError:
        # A file system without links (FAT): the name is claimed first, then filled.
        claimed = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, OWNER_ONLY)
        with os.fdopen(claimed, "wb") as file:
            file.write(content)
    finally:
        os.unlink(draft)


def _shown(path: str | os.PathLike[str]) -> str:
    return repr(os.fspath(path))


def _no_key(path: str | os.PathLike[str], reason: str) -> ParamError:
    return ParamError(
        f"key file {_shown(path)} cannot be used: {reason}; name another, put a good copy in "
        "its place, or move it away to have a new key made, and with it a new peer id"
    )


def _unusable(verb: str, path: str | os.PathLike[str], error: OSError) -> ParamError:
    reason = (error.strerror or str(error)).lower()
    return ParamError(f"cannot {verb} key file {_shown(path)}: {reason}")
