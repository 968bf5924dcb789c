"""The house: arrows go one way, also those that only types or lazy imports make, and no file is long."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = "airflow_provider_bland"
FILES = sorted((ROOT / PACKAGE).rglob("*.py"))
# What a part may import besides itself. The sandbox has a test of its own: it imports nothing of the rest.
PURE = {"", "api"}
BELOW = {
    "": set[str](),
    "api": {""},
    "calls": PURE,
    "campaigns": PURE | {"calls"},
    "tasks": PURE | {"calls"},
    "exceptions": PURE | {"tasks"},
    "results": set[str](),
    "retry_policies": PURE | {"exceptions", "tasks"},
    "links": {"tasks"},
    "hooks": PURE | {"tasks"},
    "get_provider_info": {"hooks"},
    "triggers": PURE | {"calls", "campaigns", "tasks", "hooks"},
}
BELOW["operators"] = {*BELOW["triggers"], "triggers", "links", "exceptions", "results"}
BELOW["sensors"] = BELOW["operators"]
BELOW["decorators"] = BELOW["notifications"] = {*BELOW["operators"], "operators"}
BELOW["plugins"] = PURE | {"hooks", "tasks"}


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): path for path in FILES if "sandbox" not in path.parts}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, path
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in MODULES else str(node.module))
    return {name for name in found if name.split(".")[0] == PACKAGE}


def part_of(module: str) -> str:
    return module.removeprefix(PACKAGE).removeprefix(".").split(".")[0]


@pytest.mark.parametrize("module", MODULES)
def test_arrows_go_one_way(module: str) -> None:
    part = part_of(module)
    assert {part_of(other) for other in imports(MODULES[module])} <= {part, *BELOW[part]}


def test_no_circle() -> None:
    graph = {module: imports(path) - {module} for module, path in MODULES.items()}
    while leaves := {module for module, found in graph.items() if not found & set(graph)}:
        graph = {module: found for module, found in graph.items() if module not in leaves}
    assert not graph, f"a circle among {sorted(graph)}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_long(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400
