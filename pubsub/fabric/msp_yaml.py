"""The config.yaml of an MSP directory: which organizational units count, and for what.

    OrganizationalUnitIdentifiers:        NodeOUs:
    - Certificate: cacerts/ca.pem           Enable: true
      OrganizationalUnitIdentifier: x       ClientOUIdentifier:
                                              Certificate: cacerts/ca.pem
                                              OrganizationalUnitIdentifier: client

Read here is the part of YAML that these files are written in: mappings, lists of
mappings, plain or quoted text, comments.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from pubsub.errors import ParamError
from pubsub.fabric.msp import Role

Tree: TypeAlias = "str | dict[str, Tree] | list[Tree]"

NODE_ROLES = (Role.CLIENT, Role.PEER, Role.ADMIN, Role.ORDERER)
_TRUE, _FALSE = ("true", "yes", "on"), ("false", "no", "off", "")


@dataclass(frozen=True, slots=True)
class UnitEntry:
    """A unit, and the file of the authority that it is bound to (empty: any)."""

    unit: str
    certificate: str = ""


@dataclass(frozen=True, slots=True)
class MspYaml:
    """What config.yaml says; `node_units` is None unless node units are enabled."""

    units: tuple[UnitEntry, ...] = ()
    node_units: dict[Role, UnitEntry] | None = None


def parse_msp_yaml(text: str) -> MspYaml:
    """Read config.yaml. Raises ParamError, which names the line or the key."""
    tree = _parse(text)
    nodes = tree.get("NodeOUs") or {}
    units = tree.get("OrganizationalUnitIdentifiers") or []
    if not isinstance(nodes, dict) or not isinstance(units, list):
        raise ParamError("config.yaml: NodeOUs is a mapping, the other a list")
    enabled = str(nodes.get("Enable", "")).lower()
    if enabled not in _TRUE + _FALSE:
        raise ParamError(f"config.yaml: Enable is {enabled!r}, neither true nor false")
    named = tuple(_entry(unit, "OrganizationalUnitIdentifiers") for unit in units)
    if enabled in _FALSE:
        return MspYaml(named)
    keys = {role: f"{role.name.capitalize()}OUIdentifier" for role in NODE_ROLES}
    entries = {role: _entry(nodes[key], key) for role, key in keys.items() if nodes.get(key)}
    return MspYaml(named, {role: entry for role, entry in entries.items() if entry.unit})


def _entry(tree: Tree, key: str) -> UnitEntry:
    if not isinstance(tree, dict):
        raise ParamError(f"config.yaml: {key} is not a mapping")
    unit, certificate = tree.get("OrganizationalUnitIdentifier", ""), tree.get("Certificate", "")
    if not isinstance(unit, str) or not isinstance(certificate, str):
        raise ParamError(f"config.yaml: {key} holds something that is not text")
    return UnitEntry(unit, certificate)


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    indent: int
    text: str


def _parse(text: str) -> dict[str, Tree]:
    lines = list(_lines(text))
    tree, rest = _block(lines, lines[0].indent) if lines else ({}, [])
    if rest:
        raise ParamError(f"config.yaml, line {rest[0].number}: wrong indentation")
    if not isinstance(tree, dict):
        raise ParamError("config.yaml is not a mapping")
    return tree


def _lines(text: str) -> Iterator[_Line]:
    """Lines with something in them; the dash of a list item is a line of its own."""
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.rstrip()
        content = line.lstrip(" ")
        if not content or content[0] == "#" or content in ("---", "..."):
            continue
        if content[0] == "\t":
            raise ParamError(f"config.yaml, line {number}: indented by a tab")
        indent = len(line) - len(content)
        while content == "-" or content.startswith("- "):
            yield _Line(number, indent, "-")
            shorter = content[1:].lstrip(" ")
            indent += len(content) - len(shorter)
            content = shorter
        if content:
            yield _Line(number, indent, content)


def _block(lines: list[_Line], indent: int) -> tuple[Tree, list[_Line]]:
    """The mapping or list that begins here, and the lines after it."""
    is_list = lines[0].text == "-"
    items: list[Tree] = []
    mapping: dict[str, Tree] = {}
    while lines and lines[0].indent == indent and (lines[0].text == "-") == is_list:
        line, lines = lines[0], lines[1:]
        # A list may stand as far left as the key that it belongs to.
        deeper = bool(lines) and (
            lines[0].indent > indent
            or (not is_list and lines[0].text == "-" and lines[0].indent == indent)
        )
        key, value = ("", "") if is_list else _key_value(line)
        if value or not deeper:
            below: Tree = value
        else:
            below, lines = _block(lines, lines[0].indent)
        if is_list:
            items.append(below)
        else:
            mapping[key] = below
    return (items if is_list else mapping), lines


def _key_value(line: _Line) -> tuple[str, str]:
    key, colon, value = line.text.partition(":")
    if not colon or (value and value[0] != " "):
        raise ParamError(f"config.yaml, line {line.number}: expected 'key: value'")
    value = value.strip()
    if value[:1] in ('"', "'"):
        end = value.find(value[0], 1)
        if end < 0 or value[end + 1 :].strip()[:1] not in ("", "#"):
            raise ParamError(f"config.yaml, line {line.number}: the quoted text does not end")
        return key.strip(), value[1:end]
    return key.strip(), value.partition(" #")[0].strip() if value[:1] != "#" else ""
