"""Writes docs/parameters.md from the defaults in pubsub/params.py.

.venv/bin/python scripts/make_parameters_page.py
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from pubsub.params import param_docs

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "parameters.md"

HEAD = """# Parameters

Every number the router obeys. In Python: `pubsub.open_node(params=pubsub.Params(d=8,
d_high=16))`; on the command line: `pubsub-node --topic A --param d=8 --param d_high=16`. Times
are seconds, sizes bytes. An impossible set is refused with the rule that it breaks. In
brackets: where the default comes from; *v1.0* and *v1.1* are the gossipsub specifications,
*go*, *rust* and *js* the implementations, *ours* means that it is this project's choice.

Besides these, `Params(signing=Signing.STRICT)` (default) signs messages and refuses unsigned
ones, and `Signing.NONE` sends and accepts anonymous ones only; `--sign strict|none` on the
command line. All nodes of a topic must agree.

Below the router's: what behaviour is worth (scores), the peer gater, and the host. This page is
made by `scripts/make_parameters_page.py` from the defaults in the sources.

| Parameter | Default | Meaning |
|---|---|---|
"""


OTHERS = (
    ("pubsub/score/params.py", "ScoreParams"),
    ("pubsub/score/params.py", "TopicScoreParams"),
    ("pubsub/score/params.py", "ScoreThresholds"),
    ("pubsub/score/gater.py", "GaterParams"),
    ("pubsub/host/params.py", "HostParams"),
)


def described(path: str, name: str) -> Iterator[tuple[str, str, str]]:
    """(field, default, meaning) of each field of a class, from the text below the field."""
    body = next(
        node.body
        for node in ast.parse((ROOT / path).read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and node.name == name
    )
    for field, text in zip(body, [*body[1:], ast.Pass()], strict=True):
        if isinstance(field, ast.AnnAssign) and field.value is not None:
            meaning = ""
            if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                meaning = " ".join(str(text.value.value).split())
            yield ast.unparse(field.target), ast.unparse(field.value), meaning


def page() -> str:
    """The whole page."""
    text = HEAD + "".join(
        f"| `{name}` | {default} | {meaning} |\n" for name, default, meaning in param_docs()
    )
    for path, name in OTHERS:
        text += f"\n## {name}\n\n| Field | Default | Meaning |\n|---|---|---|\n"
        for field, default, meaning in described(path, name):
            text += f"| `{field}` | `{default}` | {meaning} |\n"
    return text


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
