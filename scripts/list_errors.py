"""List every error message of the package, to be read as a user would read it.

    python scripts/list_errors.py [ROOM ...]

Prints a line for each `raise` of an error: the place, the kind, and the texts in order. Parts
that are filled in at run time stand in braces.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "lutkit"


def main() -> None:
    """Print the messages of the rooms that are named, or of all."""
    rooms = [PACKAGE / room for room in sys.argv[1:]] or [PACKAGE]
    for room in rooms:
        for path in sorted([room] if room.is_file() else room.rglob("*.py")):
            for line, kind, texts in errors_in(ast.parse(path.read_text())):
                print(f"{path.relative_to(PACKAGE.parent)}:{line}: {kind}: {' | '.join(texts)}")


def errors_in(tree: ast.AST) -> Iterator[tuple[int, str, list[str]]]:
    """Yield line, kind and texts of each raised error that is built where it is raised.

    Texts that were put into a variable before are found in the assignments of the same function.
    """
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        named = {
            target.id: node.value
            for node in ast.walk(function)
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(function):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                call = node.exc
                values = [*call.args, *(keyword.value for keyword in call.keywords)]
                texts = [text for value in values for text in texts_of(named_value(value, named))]
                yield node.lineno, ast.unparse(call.func), texts


def named_value(value: ast.expr, named: dict[str, ast.expr]) -> ast.expr:
    """What a variable was given, or the value itself."""
    return named.get(value.id, value) if isinstance(value, ast.Name) else value


def texts_of(value: ast.expr) -> list[str]:
    """The texts of an expression; f-strings with their parts in braces."""
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return [value.value]
    if isinstance(value, ast.JoinedStr):
        parts = (
            str(part.value) if isinstance(part, ast.Constant) else "{" + ast.unparse(part.value) + "}"
            for part in value.values
            if isinstance(part, ast.Constant | ast.FormattedValue)
        )
        return ["".join(parts)]
    if isinstance(value, ast.IfExp):
        return [*texts_of(value.body), *texts_of(value.orelse)]
    return []


if __name__ == "__main__":
    main()
