"""The documentation says what the code does."""

import ast
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
        for target in re.findall(r"\]\(([^)#:\s]+)(?: [^)]*)?\)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]
    assert not broken


def test_the_page_of_the_api_names_everything_public():
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    missing = [name for name in pubsub.__all__ if f"`{name}" not in text]
    assert not missing


# docs/protocol.md: rules of the specifications, and the tests that hold us to them

SPEC = ROOT / "tests" / "spec"
TEST_LINK = re.compile(r"\[(test_\w+)\]\(\.\./tests/spec/(\w+\.py)\)")


def rows_of_the_page() -> list[list[str]]:
    """The cells of each row that names a rule."""
    page = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    lines = [line for line in page.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in rows if row[0] != "Section" and set(row[0]) != {"-"}]


def spec_tests() -> set[tuple[str, str]]:
    """(file, test) of each test in tests/spec; what hostile peers do is no rule of a text."""
    return {
        (path.name, node.name)
        for path in SPEC.glob("test_*.py")
        if not path.name.startswith("test_hostile")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    }


def test_every_rule_of_the_protocol_page_names_its_test_and_where_it_is_kept():
    rows = rows_of_the_page()
    assert len(rows) > 100
    there = spec_tests()
    faults = []
    for row in rows:
        assert len(row) == 5, row
        links = TEST_LINK.findall(row[4])
        if not links or TEST_LINK.sub("", row[4]).strip(", "):
            faults.append(f"no test: {row[1]}")
        faults += [
            f"no such test: {file} {test}" for test, file in links if (file, test) not in there
        ]
        modules = re.findall(r"`([^`]+)`", row[3])
        if not modules:
            faults.append(f"nowhere: {row[1]}")
        faults += [
            f"no such module: {module}" for module in modules if not (ROOT / module).is_file()
        ]
    assert not faults


def test_every_test_of_a_specification_is_named_on_the_protocol_page():
    named = {(file, test) for row in rows_of_the_page() for test, file in TEST_LINK.findall(row[4])}
    assert not sorted(spec_tests() - named)


# docs/fabric.md: behaviours, and the tests that show them

FABRIC_LINK = re.compile(r"\[(test_\w+)\]\(\.\./(tests/[\w/]+\.py)\)")


def behaviours() -> list[list[str]]:
    """The cells of each row of the table of behaviours."""
    page = (ROOT / "docs" / "fabric.md").read_text(encoding="utf-8")
    section = page.split("## Behaviours and their tests\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines][1:]


def test_each_behaviour_of_the_page_of_fabric_names_its_tests():
    rows = behaviours()
    numbers = [int(row[0][1:]) for row in rows if row[0] != "flood"]
    assert len(numbers) > 20
    assert numbers == sorted(set(numbers))
    faults = []
    for row in rows:
        assert len(row) == 3, row
        links = FABRIC_LINK.findall(row[2])
        if not links or FABRIC_LINK.sub("", row[2]).strip(", "):
            faults.append(f"no test: {row[1]}")
        faults += [
            f"no such test: {file} {test}"
            for test, file in links
            if f"def {test}(" not in (ROOT / file).read_text(encoding="utf-8")
        ]
    assert not faults


def test_each_yes_of_the_table_of_features_leads_to_a_test():
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = [line.strip("|").split("|") for line in page.splitlines() if line.startswith("| ")]
    ours = {row[0].strip(): row[1].strip() for row in rows if len(row) == 7}
    assert len(ours) > 40
    wrong = []
    for feature, cell in ours.items():
        link = re.fullmatch(r'\[yes\]\(([\w/.]+) "(test_\w+)"\)', cell)
        if link is None:
            wrong += [feature] if cell not in ("no", "here") else []
        elif f"def {link[2]}(" not in (ROOT / link[1]).read_text(encoding="utf-8"):
            wrong.append(feature)
    assert not wrong
