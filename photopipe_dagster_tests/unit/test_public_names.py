"""What rooms name of each other stands in one list, so that a change of it is seen in review."""

import ast
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

import photopipe_dagster

PACKAGE = Path(photopipe_dagster.__file__).parent
LIST = Path(__file__).with_name("public_names.txt")
ROOMS = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))

HEAVY = {"cv2", "dagster", "numpy", "onnxruntime", "pandas", "PIL", "boto3"}
"""Packages that take long to import; the command line brings some along."""


def public_names() -> str:
    """Each room with the modules that other rooms import, and the names that they import."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).parts[0]
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ImportFrom) or node.level or not node.module:
                continue
            package, _, inside = node.module.partition(".")
            if package != PACKAGE.name or not inside or inside.split(".")[0] == room:
                continue
            found[inside] |= {alias.name for alias in node.names}
    return "".join(f"{module}: {', '.join(sorted(found[module]))}\n" for module in sorted(found))


def test_the_list_of_public_names_is_up_to_date():
    assert LIST.read_text() == public_names(), f"run: python -m {__name__}"


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_what_it_is_for(room: str):
    assert ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text()))


def test_faces_import_nothing_heavy():
    rooms = [room for room in ROOMS if room != "cli"]
    imports = "; ".join(f"import {PACKAGE.name}.{room}" for room in rooms)
    code = f"{imports}; import sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not HEAVY & set(loaded)


if __name__ == "__main__":
    LIST.write_text(public_names())
