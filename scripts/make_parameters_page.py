"""Writes docs/parameters.md from the defaults in pubsub/params.py.

.venv/bin/python scripts/make_parameters_page.py
"""

from __future__ import annotations

from pathlib import Path

from pubsub.params import param_docs

PAGE = Path(__file__).parent.parent / "docs" / "parameters.md"

HEAD = """# Parameters

Every number the router obeys. In Python: `pubsub.open_node(params=pubsub.Params(d=8,
d_high=16))`; on the command line: `pubsub-node --topic A --param d=8 --param d_high=16`. Times
are seconds, sizes bytes. An impossible set is refused with the rule that it breaks. In
brackets: where the default comes from; *v1.0* and *v1.1* are the gossipsub specifications,
*go*, *rust* and *js* the implementations, *ours* means that it is this project's choice.

Besides these, `Params(signing=Signing.STRICT)` (default) signs messages and refuses unsigned
ones, and `Signing.NONE` sends and accepts anonymous ones only; `--sign strict|none` on the
command line. All nodes of a topic must agree.

This page is made by `scripts/make_parameters_page.py`; change `pubsub/params.py` and run it
again.

| Parameter | Default | Meaning |
|---|---|---|
"""


def page() -> str:
    """The whole page."""
    return HEAD + "".join(
        f"| `{name}` | {default} | {meaning} |\n" for name, default, meaning in param_docs()
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
