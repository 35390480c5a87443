"""`warpkit schema`: write the JSON Schema by which editors complete and check a spec."""

import json
from pathlib import Path
from typing import Annotated

import typer

from warpkit.cli.terminal import say, say_json


def schema(
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Where to write it; stdout if left out.")
    ] = None,
) -> None:
    """Print the JSON Schema of a spec, with every transform, kernel and module that is installed.

    An editor completes options by it and underlines what is wrong: in TOML a first line `#:schema FILE`, in YAML
    `# yaml-language-server: $schema=FILE`, in JSON `"$schema": "FILE"`.
    """
    from warpkit.files import written_whole
    from warpkit.spec.schema import schema as spec_schema

    found = spec_schema()
    if out is None:
        say_json(found)
        return
    text = json.dumps(found, indent=2, ensure_ascii=False)
    with written_whole(out) as draft:
        draft.write_text(f"{text}\n", encoding="utf-8")
    say(f"{out}: written")
