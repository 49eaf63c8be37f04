"""Who may know whom: the layers of ARCHITECTURE.md, read from the source with ``ast``."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("nova_wsgi", "nova_objectstore")

# A module may import modules of its own layer and of those above it in this list (longest prefix counts).
LAYERS = [
    {
        "nova_objectstore.types", "nova_objectstore.errors", "nova_objectstore.limits", "nova_objectstore.checksums",
        "nova_objectstore.version", "nova_objectstore", "nova_objectstore.crypto",
        "nova_objectstore.images.ports", "nova_objectstore.images.errors", "nova_objectstore.images.limits",
        "nova_objectstore.iam.ports", "nova_objectstore.iam.errors", "nova_objectstore.iam.limits",
        "nova_objectstore.delivery.ports", "nova_objectstore.delivery.errors", "nova_objectstore.delivery.limits",
    },
    {
        "nova_objectstore.meta.engine", "nova_objectstore.meta.quota_port", "nova_objectstore.meta.lifecycle_port",
        "nova_objectstore.meta.storage_port", "nova_objectstore.meta.integrity_port", "nova_objectstore.data.engine",
    },
    {"nova_objectstore.domain"},
    {
        "nova_objectstore.s3", "nova_objectstore.query", "nova_objectstore.iam", "nova_objectstore.images",
        "nova_objectstore.delivery", "nova_objectstore.jobs", "nova_objectstore.sts",
    },
    {"nova_objectstore.assembly"},
    {
        "nova_objectstore.manager", "nova_objectstore.worker_manager", "nova_objectstore.bootstrap",
        "nova_objectstore.config", "nova_objectstore.cmd",
    },
]  # fmt: skip

# Concrete engines know the bottom layers, and only the assembly knows them.
ASSEMBLIES = ("nova_objectstore.assembly", "nova_objectstore.assembly_integrity")
ENGINES = ("nova_objectstore.meta", "nova_objectstore.data")
ENGINES_MAY_IMPORT = (*ENGINES, *sorted(LAYERS[0] - {"nova_objectstore"}))

# (what is imported, which modules may)
RESERVED = [
    (("webob",), ("nova_wsgi.request", "nova_wsgi.response", "nova_wsgi.routing", "nova_wsgi.apps")),
    (("routes",), ("nova_wsgi.routing",)),
    (("sqlalchemy", "sqlite3", "alembic", "psycopg"), ("nova_objectstore.meta", "nova_wsgi.registry")),
    (("rados",), ("nova_objectstore.data.rados",)),
    (("cryptography",), ("nova_objectstore.crypto", "nova_objectstore.images")),
    (
        ("eventlet", "greenlet"),
        (
            "nova_wsgi.green", "nova_wsgi.server", "nova_wsgi.http", "nova_wsgi.connection", "nova_wsgi.body",
            "nova_wsgi.launcher", "nova_wsgi.workers", "nova_wsgi.rpc", "nova_wsgi.processes",
        ),
    ),
]  # fmt: skip


def _modules() -> Iterator[tuple[str, Path]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def _is_type_checking(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def _imports(node: ast.AST) -> Iterator[str]:
    """Every module a tree imports, wherever the statement stands, except for type checkers alone."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and _is_type_checking(child):
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert not child.level, "relative imports hide who knows whom"
            assert child.module
            yield child.module
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
        else:
            yield from _imports(child)


def _within(module: str, prefixes: tuple[str, ...]) -> bool:
    return any(module == prefix or module.startswith(prefix + ".") for prefix in prefixes)


def _layer(module: str) -> int | None:
    best, found = "", None
    for number, names in enumerate(LAYERS):
        for name in names:
            matches = module == name or (name != "nova_objectstore" and module.startswith(name + "."))
            if matches and len(name) > len(best):
                best, found = name, number
    return found


MODULES = dict(_modules())
IMPORTS = {name: sorted(set(_imports(ast.parse(path.read_text())))) for name, path in MODULES.items()}


@pytest.mark.parametrize("module", sorted(MODULES))
def test_the_service_layer_knows_nothing_of_object_stores(module: str) -> None:
    if module.startswith("nova_wsgi"):
        assert not [name for name in IMPORTS[module] if _within(name, ("nova_objectstore",))]


@pytest.mark.parametrize("module", sorted(MODULES))
def test_libraries_are_imported_where_they_belong(module: str) -> None:
    for libraries, allowed in RESERVED:
        used = [name for name in IMPORTS[module] if _within(name, libraries)]
        assert not used or _within(module, allowed), f"{module} imports {used}"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_layers_look_down_only(module: str) -> None:
    own = _layer(module)
    if own is None:
        return
    for name in IMPORTS[module]:
        other = _layer(name)
        if other is not None:
            assert other <= own, f"{module} imports {name} from a layer above"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_concrete_engines_are_known_to_the_assembly_alone(module: str) -> None:
    is_engine = _within(module, ENGINES) and _layer(module) is None
    for name in IMPORTS[module]:
        if is_engine and _within(name, ("nova_objectstore",)) and name != "nova_objectstore":
            assert _within(name, ENGINES_MAY_IMPORT), f"{module} imports {name}"
        if not is_engine and name in MODULES and _within(name, ENGINES) and _layer(name) is None:
            allowed = name in ENGINES or module in ASSEMBLIES or _within(module, ENGINES)
            assert allowed, f"{module} imports the engine {name}"
