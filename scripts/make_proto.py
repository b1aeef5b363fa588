"""Generate pubsub/pb/ from proto/gossipsub_trio/, or check that it is up to date.

    make_proto.py            write pubsub/pb/NAME_pb2.py and NAME_pb2.pyi, folders alike
    make_proto.py --check    exit 1 if what is there differs from what would be written

Protobuf's default pool is shared by the whole process, so each file is registered
as gossipsub_trio/NAME.proto, a name no other library uses; only the module moves.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCHEMAS = ROOT / "proto" / "gossipsub_trio"
GENERATED = ROOT / "pubsub" / "pb"


def main() -> int:
    parser = argparse.ArgumentParser(description="Generate pubsub/pb/ from proto/.")
    parser.add_argument("--check", action="store_true", help="only compare, write nothing")
    check = parser.parse_args().check

    wanted = generate()
    present = texts(GENERATED)
    changed = sorted(name for name in wanted | present if wanted.get(name) != present.get(name))
    if check:
        if changed:
            names = ", ".join(changed)
            print(f"error: pubsub/pb/ differs from proto/ in {names}: run 'make proto'")
            return 1
        print(f"proto: ok, {len(wanted)} files as generated")
        return 0
    for name in changed:
        if name in wanted:
            (GENERATED / name).parent.mkdir(exist_ok=True)
            (GENERATED / name).write_text(wanted[name])
        else:
            (GENERATED / name).unlink()
    print(f"proto: {len(wanted)} files, changed: {', '.join(changed) or 'none'}")
    return 0


def generate() -> dict[str, str]:
    """Run protoc and return the text of every generated file by its path."""
    schemas = sorted(SCHEMAS.rglob("*.proto"))
    with tempfile.TemporaryDirectory() as directory:
        command = [
            *(sys.executable, "-W", "ignore", "-m", "grpc_tools.protoc"),
            f"--proto_path={SCHEMAS.parent}",
            f"--python_out={directory}",
            f"--pyi_out={directory}",
            *map(str, schemas),
        ]
        if subprocess.run(command, check=False).returncode:
            sys.exit("error: protoc refused the schemas (see above)")
        written = texts(Path(directory, SCHEMAS.name))
        return {name: moved(text) for name, text in written.items()}


def texts(folder: Path) -> dict[str, str]:
    written = [*folder.rglob("*_pb2.py"), *folder.rglob("*_pb2.pyi")]
    return {path.relative_to(folder).as_posix(): path.read_text() for path in written}


def moved(text: str) -> str:
    """The text with its imports of other schemas' modules pointing to where these are."""
    return re.sub(rf"^from {SCHEMAS.name}\b", "from pubsub.pb", text, flags=re.MULTILINE)


if __name__ == "__main__":
    sys.exit(main())
