"""Writes docs/reference/components.md, every option of what warpkit brings, from the code: docs/tools/components.py"""

import json
from pathlib import Path
from typing import Any

from warpkit.distribution import NAME
from warpkit.kernels.base import kernels
from warpkit.modules.base import modules
from warpkit.registry import Registry
from warpkit.spec.schema import schema
from warpkit.transforms.base import transforms

PAGE = Path(__file__).resolve().parents[2] / "docs/reference/components.md"
TORCH = "https://docs.pytorch.org/docs/stable/generated/torch.nn.{}.html"
TOP = """# All components

What a spec can name, with every option. A component is given by its name, where no option is required, or as a table: `type`, the options, and an `id` by which `{use = id}` is the same object elsewhere. `warpkit schema` gives the same to an editor, plugins' components too.
"""  # noqa: E501
SINGLE = {"integer": "whole number", "number": "number", "boolean": "true or false", "string": "text"}
PLURAL = {"integer": "whole numbers", "number": "numbers", "boolean": "true or false", "string": "texts"}


def words(value: dict[str, Any], named: dict[str, str] = SINGLE) -> str:
    """The words for a type, of one or of several."""
    if "if" in value:
        return f"{words(value['else'], named)} or {words(value['then'], named)}"
    if "anyOf" in value:
        return " or ".join(words(part, named) for part in value["anyOf"] if part != {"type": "null"})
    if "enum" in value:
        return "these" if named is PLURAL else ", ".join(f"`{word}`" for word in value["enum"])
    if "$ref" in value:
        return str(value["$ref"]).rpartition("/")[2] + ("s" if named is PLURAL else "")
    if value.get("type") == "array":
        return f"{'lists' if named is PLURAL else 'list'} of {words(value['items'], PLURAL)}"
    return named[value["type"]]


def row(option: str, value: dict[str, Any], is_required: bool) -> str:
    default = f"`{json.dumps(value['default'])}`" if "default" in value else "required" if is_required else ""
    cells = [f"`{option}`", words(value), default, value.get("description", "")]
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def section(name: str, table: dict[str, Any]) -> str:
    rows = [
        row(option, value, option in table["required"])
        for option, value in table["properties"].items()
        if option not in ("type", "id")
    ]
    head = ["| option | type | default | meaning |", "|---|---|---|---|"]
    return "\n".join([f"### {name}\n", table["description"], *(["", *head, *rows] if rows else []), ""])


def page() -> str:
    tables = schema()["$defs"]
    parts = [TOP]
    registries: tuple[Registry[Any], ...] = (transforms, kernels, modules)
    for registry in registries:
        ours = {e.name: e.value for n in registry.names() for e in registry.entries(n) if e.distribution == NAME}
        parts.append(f"## {registry.kind.capitalize()}s\n")
        layers = [name for name, value in ours.items() if value.startswith("torch.nn:")]
        parts += [section(name, tables[f"{registry.kind}.{name}"]) for name in ours if name not in layers]
        if layers:
            links = "\n".join(f"- [{name}]({TORCH.format(name)})" for name in layers)
            parts.append(f"## Layers of torch.nn\n\nModules too, with torch's options:\n\n{links}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    unfinished = PAGE.with_suffix(".tmp")
    unfinished.write_text(page(), encoding="utf-8")
    unfinished.replace(PAGE)
    print(f"{PAGE.relative_to(PAGE.parents[2])}: {len(page().splitlines())} lines")
