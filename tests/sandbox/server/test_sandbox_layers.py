"""The sandbox's house: arrows go one way, and nothing of the provider is needed to simulate Bland."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import airflow_provider_bland.sandbox

ROOT = Path(airflow_provider_bland.sandbox.__file__).parent
PACKAGE = "airflow_provider_bland.sandbox"
# From the bottom up; a module may import its own layer and those before it.
LAYERS = ["model", "world", "web", "server", "__main__"]
MODULES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py") if path.parent != ROOT or path.stem in LAYERS)


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            found.add(node.module or "")
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.startswith("airflow")}


def name(path: Path) -> str:
    return ".".join([PACKAGE, *path.with_suffix("").parts])


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_arrows_go_one_way(path: Path) -> None:
    layer = LAYERS.index(path.parts[0].removesuffix(".py"))
    for imported in imports(path):
        assert imported.startswith(PACKAGE + "."), imported
        assert LAYERS.index(imported.removeprefix(PACKAGE + ".").split(".")[0]) <= layer, imported


def test_no_circle() -> None:
    graph = {name(path): imports(path) for path in MODULES}
    graph = {module: {other for other in found if other in graph} for module, found in graph.items()}
    while leaves := {module for module, found in graph.items() if not found}:
        graph = {module: found - leaves for module, found in graph.items() if module not in leaves}
    assert not graph, f"a circle among {sorted(graph)}"


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_no_module_is_long(path: Path) -> None:
    assert len((ROOT / path).read_text().splitlines()) <= 400


@pytest.mark.parametrize("path", [path for path in MODULES if path.parts[0] in ("model", "world")], ids=str)
def test_the_web_is_needed_only_by_the_web(path: Path) -> None:
    tree = ast.parse((ROOT / path).read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not {name.split(".")[0] for name in names} & {"fastapi", "starlette", "uvicorn"}
