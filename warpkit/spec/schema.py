"""The JSON Schema of a spec, with every component that is installed, for editors to complete and check by."""

import inspect
import json
import re
import types
import typing
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from warpkit.kernels.base import kernels
from warpkit.modules.base import modules
from warpkit.modules.network import WARPED
from warpkit.registry import Registry
from warpkit.spec.build import VERSION
from warpkit.spec.components import takes_any
from warpkit.spec.hints import hints_of, input_width, is_offered, registry_of, takes_several
from warpkit.transforms.base import transforms

Schema = dict[str, Any]
_SHAPE = {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 1, "maxItems": 4}
_TOP: Schema = {
    "$schema": {"type": "string", "description": "Where this schema is, for editors."},
    "version": {"const": VERSION, "description": "Of the format."},
}
_INPUT: Schema = {
    "input": _SHAPE | {"description": "The shape of one image, [C, *S]; the widths of all layers follow from it."}
}
_INPUTS: Schema = {
    "inputs": {
        "description": "The shapes [C, *S] of several images by name, in the order in which the network takes them.",
        "type": "object",
        "properties": {WARPED: False},
        "additionalProperties": _SHAPE,
        "minProperties": 1,
    }
}
_ID: Schema = {"id": {"type": "string", "description": "A name: `{use = name}`, further down, is the same object."}}
_USE: Schema = {"use": {"type": "string", "description": "An `id` that stands further up: the same object."}}
_THETA_FROM: Schema = {
    "theta_from": {
        "description": f'What θ is read from, joined along channels: inputs, or "{WARPED}", the image as it is here.',
        "type": "array",
        "items": {"type": "string"},
        "minItems": 1,
    }
}


def schema() -> Schema:
    """The JSON Schema (draft 2020-12) of the specs that `build` reads, with every component that is installed.

    A plugin that cannot be imported is left out.

    >>> schema()["$defs"]["kernel.bicubic"]["properties"]["a"]["default"]
    -0.75
    """
    known: dict[str, dict[str, Schema]] = {r.kind: _tables(r) for r in (transforms, kernels, modules)}
    found = known["module"]
    # Only what stands in the same table is known to `additionalProperties`, so tables with more keys are written out.
    whole = {name: _with(table, _TOP | _INPUT) for name, table in found.items()}
    reads_theta = {name: _with(table, _THETA_FROM) for name, table in found.items() if _reads_theta(name)}
    layers: Schema = {"type": "array", "description": "One after the other."}
    of_images = _closed(_TOP | _INPUTS | {"layers": layers | {"items": {"$ref": "#/$defs/layer"}}}, ["layers"])
    of_one = _closed(_TOP | _INPUT | _ID | {"layers": layers | {"items": {"$ref": "#/$defs/module"}}}, ["layers"])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "description": "A network as data: `layers`, or `type` and the options of one module.",
        "type": "object",
        "properties": {"type": {"description": "A module."}, "inputs": {"description": "Of several images."}},
        **_choice({"required": ["inputs"]}, of_images, _choice({"required": ["type"]}, _by_type(whole), of_one)),
        **_offered(of_images, of_one),
        "$defs": {
            **{kind: _component(kind, tables) for kind, tables in known.items()},
            "layer": _component("module", found, reads_theta, _USE | _THETA_FROM),
            **{f"{kind}.{name}": table for kind, tables in known.items() for name, table in tables.items()},
        },
    }


def summary(cls: type) -> str:
    """The first paragraph of a class's docstring."""
    return _tidy(inspect.cleandoc(cls.__doc__ or "").partition("\n\n")[0])


def meanings(cls: type, options: Iterable[str]) -> dict[str, str]:
    """Each option's description in a class's docstring: in its `Args:`, or the first sentence that quotes it."""
    text = inspect.cleandoc(cls.__doc__ or "")
    section = re.search(r"^Arg(?:ument)?s:\n((?:[ \t]+.*\n?|\n)*)", text, re.MULTILINE)
    listed = inspect.cleandoc("\n" + section[1]) if section else ""
    entries = re.findall(r"^(\w+)(?: ?\(.*?\))?: *(.*(?:\n[ \t]+.*)*)", listed, re.MULTILINE)
    said = {option: _tidy(entry) for option, entry in entries}
    prose = text.replace(section[0], "\n\n") if section else text
    for sentence in re.split(r"\n\s*\n|(?<=[.!?])\s+(?![a-z])", prose):
        for option in options:
            if f"`{option}`" in sentence:
                said.setdefault(option, _tidy(sentence.partition(f"`{option}`: ")[2] or sentence))
    return {option: said[option] for option in options if option in said}


def _tidy(text: str) -> str:
    """The text in one line, with Sphinx's roles and double backticks as plain code."""
    return re.sub(r"(?::\w+)+:`([^`]*)`", r"`\1`", " ".join(text.split())).replace("``", "`")


def _tables(registry: Registry[Any]) -> dict[str, Schema]:
    """The table of each name, with its options; none where the plugin cannot be imported or read."""
    tables = {}
    for name in registry.names():
        try:
            tables[name] = _table(registry, name)
        except KeyboardInterrupt:
            raise
        except BaseException:  # whatever a stranger's module and class do
            continue
    return tables


def _table(registry: Registry[Any], name: str) -> Schema:
    cls, every = registry.load(name), registry.options(name)
    options = {key: option for key, option in every.items() if is_offered(key, option)}
    hints, said = hints_of(cls), meanings(cls, options)
    about = _described(summary(cls))
    properties = {"type": {"const": name} | about} | _ID
    for key, option in options.items():
        inferred = "Taken from `input` unless given." if _is_inferred(key, option) else ""
        properties[key] = _value(hints.get(key, Any)) | _described(said.get(key, ""), inferred) | _default(option)
    needed = [key for key, o in options.items() if o.default is o.empty and not _is_inferred(key, o)]
    return about | _closed(properties, ["type", *needed]) | {"additionalProperties": takes_any(every)}


def _described(*sentences: str) -> Schema:
    text = " ".join(s if s.endswith(".") else f"{s}." for s in sentences if s)
    return {"description": text} if text else {}


def _closed(properties: Schema, required: list[str]) -> Schema:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _with(table: Schema, more: Schema) -> Schema:
    """The table with more keys."""
    return table | {"properties": table["properties"] | more}


def _component(kind: str, tables: dict[str, Schema], written_out: Schema | None = None, use: Schema = _USE) -> Schema:
    """The schema of a component: a name, a table or `use`."""
    referred = {name: {"$ref": f"#/$defs/{_escaped(f'{kind}.{name}')}"} for name in tables} | (written_out or {})
    names = {"enum": [name for name, table in tables.items() if table["required"] == ["type"]]}
    used = _closed(use, ["use"])
    table = _choice({"required": ["use"]}, used, _by_type(referred))
    return _choice({"type": "string"}, names, table) | _offered(names, used, *referred.values())


def _choice(condition: Schema, then: Schema, otherwise: Schema) -> Schema:
    """The schema `then` under a condition, else `otherwise`; `anyOf` would tell a mistake at the whole."""
    return {"if": condition, "then": then, "else": otherwise}


def _offered(*choices: Schema) -> Schema:
    """The choices for completion alone, as editors read `anyOf` where they do not read `if`; anything passes."""
    return {"anyOf": [{}, *choices]}


def _by_type(tables: dict[str, Schema]) -> Schema:
    """The schema of the table that the `type` names."""
    chosen = [{"if": _is_type(name), "then": table} for name, table in tables.items()]
    return {"type": "object", "properties": {"type": {"enum": list(tables)}}, "required": ["type"], "allOf": chosen}


def _is_type(name: str) -> Schema:
    return {"properties": {"type": {"const": name}}, "required": ["type"]}


def _value(hint: Any) -> Schema:
    """The schema of a type hint; it allows anything where JSON Schema cannot express the hint."""
    from pydantic import ConfigDict, TypeAdapter

    registry = registry_of(hint)
    if registry is not None:
        one: Schema = {"$ref": f"#/$defs/{registry.kind}"}
        several: Schema = {"type": "array", "items": one}
        if not takes_several(hint):
            return one
        is_union = typing.get_origin(hint) in (typing.Union, types.UnionType)
        alone = is_union and registry.base in typing.get_args(hint)
        return _choice({"type": "array"}, several, one) | _offered(several, one) if alone else several
    try:
        made = TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True)).json_schema()
    except Exception:  # pydantic has many for what it cannot express
        return {}
    return {} if "$defs" in made else made


def _default(option: inspect.Parameter) -> Schema:
    """The default in the schema; None is left out, as TOML has no null."""
    if option.default is None or option.default is option.empty:
        return {}
    try:
        return {"default": json.loads(json.dumps(option.default, allow_nan=False))}
    except (TypeError, ValueError):
        return {}


def _is_inferred(key: str, option: inspect.Parameter) -> bool:
    return key == "ndim" or (option.default is option.empty and input_width(key, (1, 1)) is not None)


def _reads_theta(name: str) -> bool:
    return "theta_from" in inspect.signature(modules.load(name).forward).parameters


def _escaped(key: str) -> str:
    """The key as it stands inside a `$ref`."""
    return quote(key.replace("~", "~0").replace("/", "~1"))
