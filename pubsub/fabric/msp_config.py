"""What an MSP is made from, as plain data: certificates, revocation lists, unit names.

It comes from a channel's configuration (`msp_config_from_bytes`) or from a
directory (`pubsub.fabric_node.msp_directory`).
"""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.message import DecodeError

from pubsub.errors import RemoteError
from pubsub.pb.fabric import msp_pb2


class MspConfigError(RemoteError):
    """The material of an MSP does not make an MSP."""


@dataclass(frozen=True, slots=True)
class UnitIdentifier:
    """An organizational unit, if given a certificate only under that authority."""

    unit: str
    certificate: bytes = b""
    "PEM of the authority whose certificates count; empty: of any."


@dataclass(frozen=True, slots=True)
class NodeUnits:
    """By which organizational unit clients, peers, admins and orderers are told apart."""

    client: UnitIdentifier | None = None
    peer: UnitIdentifier | None = None
    admin: UnitIdentifier | None = None
    orderer: UnitIdentifier | None = None
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class MspConfig:
    """The public material of one MSP; certificates are PEM, revocation lists PEM or DER."""

    name: str
    roots: tuple[bytes, ...]
    intermediates: tuple[bytes, ...] = ()
    admins: tuple[bytes, ...] = ()
    revocation_lists: tuple[bytes, ...] = ()
    units: tuple[UnitIdentifier, ...] = ()
    "If any are given, an identity must have one of these units."

    node_units: NodeUnits | None = None
    tls_roots: tuple[bytes, ...] = ()
    tls_intermediates: tuple[bytes, ...] = ()
    signature_hash_family: str = "SHA2"
    identity_hash: str = "SHA256"


def msp_config_from_bytes(encoded: bytes) -> MspConfig:
    """Decode a FabricMSPConfig, as a channel's configuration holds it.

    Raises MspConfigError.
    """
    try:
        message = msp_pb2.FabricMSPConfig.FromString(encoded)
    except DecodeError as error:
        raise MspConfigError("malformed MSP configuration") from error
    crypto = message.crypto_config
    return MspConfig(
        name=message.name,
        roots=tuple(message.root_certs),
        intermediates=tuple(message.intermediate_certs),
        admins=tuple(message.admins),
        revocation_lists=tuple(message.revocation_list),
        units=tuple(map(_unit, message.organizational_unit_identifiers)),
        node_units=_node_units(message),
        tls_roots=tuple(message.tls_root_certs),
        tls_intermediates=tuple(message.tls_intermediate_certs),
        signature_hash_family=crypto.signature_hash_family or "SHA2",
        identity_hash=crypto.identity_identifier_hash_function or "SHA256",
    )


def msp_config_to_bytes(config: MspConfig) -> bytes:
    """Encode as a FabricMSPConfig."""
    message = msp_pb2.FabricMSPConfig(
        name=config.name,
        root_certs=config.roots,
        intermediate_certs=config.intermediates,
        admins=config.admins,
        revocation_list=config.revocation_lists,
        organizational_unit_identifiers=[_unit_message(unit) for unit in config.units],
        crypto_config=msp_pb2.FabricCryptoConfig(
            signature_hash_family=config.signature_hash_family,
            identity_identifier_hash_function=config.identity_hash,
        ),
        tls_root_certs=config.tls_roots,
        tls_intermediate_certs=config.tls_intermediates,
    )
    units = config.node_units
    if units is not None:
        nodes = message.fabric_node_ous
        nodes.enable = units.enabled
        for unit, field in (
            (units.client, nodes.client_ou_identifier),
            (units.peer, nodes.peer_ou_identifier),
            (units.admin, nodes.admin_ou_identifier),
            (units.orderer, nodes.orderer_ou_identifier),
        ):
            if unit is not None:
                field.CopyFrom(_unit_message(unit))
    return message.SerializeToString()


def _unit(message: msp_pb2.FabricOUIdentifier) -> UnitIdentifier:
    return UnitIdentifier(message.organizational_unit_identifier, message.certificate)


def _unit_message(unit: UnitIdentifier) -> msp_pb2.FabricOUIdentifier:
    return msp_pb2.FabricOUIdentifier(
        certificate=unit.certificate, organizational_unit_identifier=unit.unit
    )


def _node_units(message: msp_pb2.FabricMSPConfig) -> NodeUnits | None:
    if not message.HasField("fabric_node_ous"):
        return None
    nodes = message.fabric_node_ous

    def unit(name: str) -> UnitIdentifier | None:
        return _unit(getattr(nodes, name)) if nodes.HasField(name) else None

    return NodeUnits(
        client=unit("client_ou_identifier"),
        peer=unit("peer_ou_identifier"),
        admin=unit("admin_ou_identifier"),
        orderer=unit("orderer_ou_identifier"),
        enabled=nodes.enable,
    )
