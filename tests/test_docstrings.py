import ast
from collections.abc import Iterator
from pathlib import Path

FILES = [
    file for name in ("warpkit", "plugins", "docs") for file in (Path(__file__).parent.parent / name).rglob("*.py")
]


def described(node: ast.AST) -> Iterator[ast.AST]:
    """The module, and the classes and functions in it; expressions are passed over, as there are many."""
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        yield node
    for part in getattr(node, "body", ()):
        if not isinstance(part, ast.Expr | ast.Assign | ast.Return):
            yield from described(part)


def test_a_docstring_is_a_sentence_of_more_than_four_words():
    told = [
        (len(text.split()), f"{file}: {text}")
        for file in FILES
        for node in described(ast.parse(file.read_text("utf-8")))
        if (text := ast.get_docstring(node, clean=False))
    ]
    assert len(told) > 1000
    assert [text for words, text in told if words <= 4] == []
