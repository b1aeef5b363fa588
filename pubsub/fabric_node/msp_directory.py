"""MSP directories, as cryptogen and fabric-ca-client lay them out.

    cacerts/  intermediatecerts/  admincerts/  crls/  tlscacerts/  tlsintermediatecerts/
    config.yaml        and for a local identity   signcerts/  keystore/

Only cacerts has to be there. Files without a PEM block are passed over, as in
Fabric. Reading is done at start-up, so nothing here is async.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pubsub.errors import LocalError, ParamError, RemoteError
from pubsub.fabric.identities import Signer
from pubsub.fabric.msp import Msp, MspVersion, Role
from pubsub.fabric.msp_config import MspConfig, NodeUnits, UnitIdentifier
from pubsub.fabric.msp_yaml import MspYaml, UnitEntry, parse_msp_yaml


def read_msp(directory: str | Path, msp_id: str, version: MspVersion = MspVersion.V3_0) -> Msp:
    """The MSP whose material is in `directory`. Raises ParamError if it does not make one."""
    directory = _checked(directory, msp_id)
    try:
        return Msp(read_msp_config(directory, msp_id), version)
    except RemoteError as error:
        raise ParamError(f"{directory}: {error}") from error


def read_msp_config(directory: Path, msp_id: str) -> MspConfig:
    """The public material in `directory`. Raises ParamError if there is no root certificate."""
    roots = _pem_files(directory / "cacerts")
    if not roots:
        raise ParamError(f"{directory / 'cacerts'} has no certificate of an authority")
    settings = _settings(directory)
    tls_roots = _pem_files(directory / "tlscacerts")
    return MspConfig(
        name=msp_id,
        roots=roots,
        intermediates=_pem_files(directory / "intermediatecerts"),
        admins=_pem_files(directory / "admincerts"),
        revocation_lists=_pem_files(directory / "crls"),
        units=tuple(_unit(directory, entry) for entry in settings.units),
        node_units=_node_units(directory, settings),
        tls_roots=tls_roots,
        tls_intermediates=_pem_files(directory / "tlsintermediatecerts") if tls_roots else (),
    )


def read_signer(directory: str | Path, msp_id: str) -> Signer:
    """The identity in signcerts with its key from keystore. Raises ParamError."""
    directory = _checked(directory, msp_id)
    certificates = _pem_files(directory / "signcerts")
    if not certificates:
        raise ParamError(f"{directory / 'signcerts'} has no certificate")
    keys = _pem_files(directory / "keystore")
    refusal: LocalError = ParamError(f"{directory / 'keystore'} has no private key")
    for key in keys:
        try:
            return Signer.from_pem(msp_id, certificates[0], key)
        except ParamError as error:
            refusal = error
    raise ParamError(f"{directory}: no key fits the certificate: {refusal}")


def write_files(directory: Path, files: Mapping[str, bytes]) -> None:
    """Write `files`, by their paths below `directory`; private keys for the owner only."""
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        secret = b"PRIVATE KEY-----" in content
        path.touch(mode=0o600 if secret else 0o644)
        path.write_bytes(content)


def _checked(directory: str | Path, msp_id: str) -> Path:
    if not isinstance(msp_id, str) or not msp_id:
        raise ParamError(f"an MSP id is a text such as Org1MSP, not {msp_id!r:.80}")
    if not isinstance(directory, str | Path):
        raise ParamError(f"an MSP directory is a path, not {directory!r:.80}")
    return Path(directory)


def _pem_files(directory: Path) -> tuple[bytes, ...]:
    if not directory.is_dir():
        return ()
    found = [path.read_bytes() for path in sorted(directory.iterdir()) if path.is_file()]
    return tuple(content for content in found if b"-----BEGIN " in content)


def _settings(directory: Path) -> MspYaml:
    path = directory / "config.yaml"
    if not path.is_file():
        return MspYaml()
    try:
        return parse_msp_yaml(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise ParamError(f"{path} is not UTF-8") from error
    except ParamError as error:
        raise ParamError(f"{directory}: {error}") from error


def _unit(directory: Path, entry: UnitEntry) -> UnitIdentifier:
    if not entry.certificate:
        return UnitIdentifier(entry.unit)
    path = directory / entry.certificate
    if not path.is_file():
        # Fabric goes on without it, and then counts the unit under every authority.
        raise ParamError(f"config.yaml binds unit {entry.unit!r} to {path}, which is not there")
    return UnitIdentifier(entry.unit, path.read_bytes())


def _node_units(directory: Path, settings: MspYaml) -> NodeUnits | None:
    if settings.node_units is None:
        return None
    units = {role: _unit(directory, entry) for role, entry in settings.node_units.items()}
    return NodeUnits(
        units.get(Role.CLIENT), units.get(Role.PEER), units.get(Role.ADMIN), units.get(Role.ORDERER)
    )
