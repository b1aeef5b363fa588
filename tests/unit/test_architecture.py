"""The rules of the house: who imports whom, what is pure, what is small, what is tested.

Each rule is a function from one module to its faults, so that the rules themselves are
tried at the end on modules that break them.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "pubsub"
FACE = "pubsub"  # pubsub/__init__.py

# Each package and what it may import, beside itself and pb.
BASE = {"errors", "params"}
WIRE = BASE | {"identity", "wire"}
CORE = WIRE | {"score", "mesh", "router", "telemetry"}
NET = CORE | {"transport", "host", "discovery"}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "params": {"errors"},
    "identity": BASE,
    "wire": BASE | {"identity"},
    "transport": WIRE,
    "fabric": WIRE,
    "score": WIRE,
    "mesh": WIRE | {"score"},
    "router": WIRE | {"score", "mesh"},
    "telemetry": WIRE | {"score", "mesh", "router"},
    "host": CORE | {"transport"},
    "discovery": CORE | {"transport", "host"},
    "node": NET,
    "sim": CORE | {"transport", "fabric"},
    "fabric_node": NET | {"node", "fabric"},
    FACE: NET | {"node", "fabric", "fabric_node", "sim"},
    "cli": NET | {"node", "fabric", "fabric_node", "sim", FACE},
}
SHELLS = {"host", "discovery", "node", "fabric_node", "cli", FACE}

IMPURE = {
    *("asyncio", "concurrent", "logging", "multiprocessing", "os", "queue", "secrets", "select"),
    *("selectors", "signal", "socket", "ssl", "subprocess", "threading", "time", "trio", "uuid"),
}
MAX_FILE, MAX_FUNCTION = 400, 60
NAMELESS = {"utils", "util", "helpers", "helper", "common", "misc"}

# Pure modules that are tested together with another: module -> the test file, from tests/unit/.
SHARED_TESTS: dict[str, str] = {
    "fabric.intake_rules": "fabric/test_intake.py",
    "mesh.standing": "mesh/test_balance.py",
    "router.control": "router/test_graft_prune.py",
    "router.peer": "router/test_commands.py",
}


@dataclass(frozen=True)
class Module:
    name: str
    "Dotted, below `pubsub`; empty for pubsub/__init__.py."

    text: str = field(repr=False)
    is_package: bool = False

    @property
    def package(self) -> str:
        return self.name.split(".")[0] or FACE

    def nodes(self) -> Iterator[ast.AST]:
        return ast.walk(ast.parse(self.text, self.name))

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        for node in self.nodes():
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node

    def imports(self) -> Iterator[tuple[int, str]]:
        """Line and full name of every import, wherever it stands in the file."""
        here = [FACE, *filter(None, self.name.split("."))]
        for node in self.nodes():
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                above = here[: len(here) + self.is_package - node.level] if node.level else []
                base = ".".join([*above, *filter(None, [node.module])])
                yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def load(path: Path) -> Module:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    is_package = parts[-1] == "__init__"
    name = ".".join(parts[:-1] if is_package else parts)
    return Module(name, path.read_text(encoding="utf-8"), is_package)


def wrong_imports(module: Module) -> Iterator[str]:
    if module.package not in MAY_IMPORT:
        yield f"{module.package} is new: give it a place in MAY_IMPORT and in docs/design.md"
        return
    allowed = MAY_IMPORT[module.package] | {module.package, "pb"}
    for line, name in module.imports():
        top, part, *_ = [*name.split("."), ""]
        target = part if part in MAY_IMPORT or part == "pb" else FACE
        if top == FACE and target not in allowed:
            yield (
                f"line {line}: {module.package} may not import {target}, imports run downwards:"
                " pass the thing in as an argument, or move it to a lower package"
            )


def impurities(module: Module) -> Iterator[str]:
    if module.package in SHELLS:
        return
    for line, name in module.imports():
        top, _, rest = name.partition(".")
        if top in IMPURE:
            yield f"line {line}: {top} in a pure package: take what it gives as an argument"
        if top == "random" and rest not in ("", "Random"):
            yield f"line {line}: {name}: take `rng: random.Random` as an argument"
    for node in module.nodes():
        if isinstance(node, ast.Attribute) and ast.unparse(node).startswith("random."):
            if node.attr != "Random" and isinstance(node.value, ast.Name):
                yield f"line {node.lineno}: random.{node.attr}: take `rng: random.Random`"
        elif isinstance(node, ast.Call) and ast.unparse(node) in ("random.Random()", "Random()"):
            yield f"line {node.lineno}: Random() takes its seed from the system: give it one"


def oversizes(module: Module) -> Iterator[str]:
    if module.name.rpartition(".")[2] in NAMELESS:
        yield "the name says nothing: name the file after what is in it"
    lines = module.text.count("\n")
    if lines > MAX_FILE:
        yield f"{lines} lines, at most {MAX_FILE}: split the file by what its parts are about"
    for function in module.functions():
        length = (function.end_lineno or function.lineno) - function.lineno + 1
        if length > MAX_FUNCTION:
            where = f"line {function.lineno}: {function.name}"
            yield f"{where} has {length} lines, at most {MAX_FUNCTION}: split it"


def missing_tests(module: Module) -> Iterator[str]:
    """A pure module has a unit test of its own; for a shell, one in tests/io also serves."""
    if module.is_package or not any(module.functions()):
        return
    *folders, stem = module.name.split(".")
    mirror = "/".join([*folders, f"test_{stem.lstrip('_')}.py"])
    mirror = f"tests/unit/{SHARED_TESTS.get(module.name, mirror)}"
    if (ROOT / mirror).exists():
        return
    if module.package not in SHELLS:
        yield f"there is no {mirror}: write it, or name the test that covers it in SHARED_TESTS"
    elif not any((ROOT / "tests" / "io").rglob(f"test_{module.package}*.py")):
        yield f"there is neither {mirror} nor tests/io/test_{module.package}*.py: write one"


RULES = (wrong_imports, impurities, oversizes, missing_tests)
MODULES = [load(path) for path in sorted(SOURCE.rglob("*.py")) if SOURCE / "pb" not in path.parents]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name or FACE)
def test_house_rules(module: Module) -> None:
    faults = [fault for rule in RULES for fault in rule(module)]
    if faults:
        pytest.fail("\n  ".join([f"pubsub.{module.name}:", *faults]), pytrace=False)


def test_public_names_exist() -> None:
    face = importlib.import_module(FACE)
    assert hasattr(face, "__all__"), "pubsub/__init__.py must name what is public in __all__"
    missing = [name for name in face.__all__ if not hasattr(face, name)]
    assert not missing, f"pubsub.__all__ promises {missing}: define them or take them out"


def test_the_layers_have_no_circle_and_no_pure_package_stands_on_a_shell() -> None:
    rank: dict[str, int] = {}
    while len(rank) < len(MAY_IMPORT):
        free = [p for p, below in MAY_IMPORT.items() if p not in rank and below <= rank.keys()]
        assert free, f"these import each other in a circle: {MAY_IMPORT.keys() - rank.keys()}"
        rank.update((package, len(rank)) for package in free)
    for package in MAY_IMPORT.keys() - SHELLS:
        assert not MAY_IMPORT[package] & SHELLS, package


def test_the_rules_see_the_code() -> None:
    names = {module.name for module in MODULES}
    assert {"errors", "params", "identity.keys"} <= names
    assert len(SHARED_TESTS) == len(SHARED_TESTS.keys() & names), "SHARED_TESTS names a lost file"


@pytest.mark.parametrize(
    ("rule", "name", "text"),
    [
        (wrong_imports, "mesh.rules", "import pubsub.router.machine"),
        (wrong_imports, "mesh.rules", "from pubsub import router"),
        (wrong_imports, "mesh.rules", "from pubsub import open_node"),
        (wrong_imports, "mesh.rules", "import pubsub"),
        (wrong_imports, "mesh.rules", "from ..router.machine import Router"),
        (wrong_imports, "mesh.rules", "from .. import router"),
        (wrong_imports, "mesh.rules", "def f():\n    from pubsub.node import Node"),
        (wrong_imports, "mesh.rules", "if TYPE_CHECKING:\n    from pubsub.host import Host"),
        (wrong_imports, "sim.world", "from pubsub.node import Node"),
        (wrong_imports, "transport.noise", "from pubsub.score import Score"),
        (wrong_imports, "novelty.thing", ""),
        (impurities, "mesh.rules", "import trio"),
        (impurities, "params", "import os"),
        (impurities, "mesh.rules", "def f():\n    from time import monotonic"),
        (impurities, "mesh.rules", "import random\nx = random.choice([1])"),
        (impurities, "mesh.rules", "from random import sample"),
        (impurities, "mesh.rules", "from random import Random\nrng = Random()"),
        (oversizes, "mesh.utils", ""),
        (oversizes, "mesh.rules", "\n" * 401),
        (oversizes, "mesh.rules", "def f():\n" + "    x = 1\n" * 60),
        (missing_tests, "mesh.no_such_module", "def f(): ..."),
        (missing_tests, "discovery.no_such_module", "def f(): ..."),
    ],
)
def test_a_rule_finds_what_breaks_it(
    rule: Callable[[Module], Iterator[str]], name: str, text: str
) -> None:
    assert list(rule(Module(name, text)))


@pytest.mark.parametrize(
    ("rule", "name", "text"),
    [
        (wrong_imports, "router.machine", "from pubsub.mesh import rules\nfrom . import queue"),
        (wrong_imports, "host.dial", "from pubsub.transport import noise\nimport trio"),
        (wrong_imports, "wire.rpc", "from pubsub.pb import rpc_pb2"),
        (impurities, "host.dial", "import trio, time, os"),
        (impurities, "mesh.rules", "import random\ndef f(rng: random.Random): rng.choice([1])"),
        (oversizes, "mesh.rules", "def f():\n" + "    x = 1\n" * 59),
    ],
)
def test_a_rule_lets_good_code_be(
    rule: Callable[[Module], Iterator[str]], name: str, text: str
) -> None:
    assert not list(rule(Module(name, text)))
