"""Whether what is tagged may be released: prints what is wrong, a line each, and then ends with code 1.

    python .ci/check_release.py v0.1.0 https://…/warpkit

The second word is the repository's public address, as the machine that releases knows it.
"""

import re
import sys
import tomllib
from pathlib import Path


def wrong(root: Path, tag: str, repository: str) -> list[str]:
    """What is wrong, in sentences."""
    data = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    version, home = data["project"]["version"], data["tool"]["warpkit"]["repository"]
    citation = (root / "CITATION.cff").read_text(encoding="utf-8")
    changes = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    found = []
    if tag != f"v{version}":
        found.append(f"the tag is {tag}, and pyproject.toml's version is {version}")
    if home != repository:
        found.append(f"`repository` in pyproject.toml is {home!r}, and the repository is at {repository}")
    if not re.search(rf"^version: {re.escape(version)}$", citation, re.MULTILINE):
        found.append(f"CITATION.cff has another version than {version}")
    if not re.search(rf"^repository-code: {re.escape(repository)}$", citation, re.MULTILINE):
        found.append(f"CITATION.cff has no line `repository-code: {repository}`")
    if not re.search(rf"^## \[{re.escape(version)}\]", changes, re.MULTILINE):
        found.append(f"CHANGELOG.md has no section [{version}]")
    return found


if __name__ == "__main__":
    sentences = wrong(Path(__file__).parent.parent, *sys.argv[1:])
    print("\n".join(sentences))
    sys.exit(bool(sentences))
