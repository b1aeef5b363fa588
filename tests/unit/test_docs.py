"""The documentation says what the code does."""

import importlib.util
import re
from pathlib import Path

import pubsub

ROOT = Path(__file__).parent.parent.parent


def test_the_page_of_parameters_is_made_from_the_defaults():
    script = ROOT / "scripts" / "make_parameters_page.py"
    spec = importlib.util.spec_from_file_location("make_parameters_page", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PAGE.read_text(encoding="utf-8") == module.page(), f"run {script.name}"


def test_links_between_pages_lead_somewhere():
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "interop").glob("*.md")]
    broken = [
        f"{page.name}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]
    assert not broken


def test_the_page_of_the_api_names_everything_public():
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    missing = [name for name in pubsub.__all__ if f"`{name}" not in text]
    assert not missing
