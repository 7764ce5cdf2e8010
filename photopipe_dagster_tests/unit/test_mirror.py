"""Where a module's test is follows from where the module is.

What has none is listed in `without_tests.txt`, which only gets shorter:
``python -m photopipe_dagster_tests.unit.test_mirror`` writes it.
"""

from __future__ import annotations

import ast
from pathlib import Path

import photopipe_dagster

PACKAGE = Path(photopipe_dagster.__file__).parent
HERE = Path(__file__).parent
LIST = HERE / "without_tests.txt"


def without_tests() -> str:
    """Modules with code of their own and no test file of their name in the same place."""
    found = []
    for path in PACKAGE.rglob("*.py"):
        module = path.relative_to(PACKAGE)
        if path.name.startswith("__") or "versions" in module.parts or not _has_code(path):
            continue
        if not (HERE / module.parent / f"test_{path.name}").exists():
            found.append(module.as_posix())
    return "".join(f"{name}\n" for name in sorted(found))


def _has_code(path: Path) -> bool:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return any(isinstance(node, kinds) for node in ast.parse(path.read_text()).body)


def test_each_module_has_its_test_beside_or_is_listed() -> None:
    assert LIST.read_text() == without_tests(), f"add the test, or run: python -m {__name__}"


if __name__ == "__main__":
    LIST.write_text(without_tests())
