"""Our distribution's name, which is not that of the import, and what to say about installing it.

The index's `warpkit` is another project (neuroimaging), whose import name is the same. So no advice of ours may name a
distribution that pip would look for under that name.
"""

import importlib.metadata
import re
import warnings

from warpkit.quoting import shown

__all__ = ["NAME", "is_ours", "our_version", "to_install", "to_upgrade", "warn_of_another"]

NAME = "torch-warpkit"
_OTHER = "warpkit"


def our_version() -> str:
    """The version that is installed."""
    return importlib.metadata.version(NAME)


def to_install(extra: str) -> str:
    """What to do to get an extra. A shell such as zsh reads bare brackets as a pattern, so they are quoted.

    Until the first release it names the clone: nobody owns our name on the index yet, and whoever took it would be
    installed. It ends with the command, which is what people copy.
    """
    return f"in a clone of warpkit, pip install '.[{extra}]'"


def to_upgrade() -> str:
    """What to do to get a newer warpkit: from the clone, as in `to_install`, with `-e` or without as it was."""
    return "git pull in the clone of warpkit, and install it from there as before"


def is_ours(name: str) -> bool:
    """Whether a distribution's name, which a stranger may have written, would be taken for warpkit itself."""
    return re.sub(r"[-_.]+", "-", name).lower() in (NAME, _OTHER)


def warn_of_another() -> None:
    """Warn where a distribution `warpkit` is installed beside us: both have a folder of that name, in the same place.

    Whichever was installed later has replaced files of the other, and whichever is removed takes files of both along:
    so the cure is to remove both. What an installer wrote has a RECORD; the metadata that a build leaves in a clone has
    none, and replaces nothing.
    """
    try:
        others = importlib.metadata.distributions(name=_OTHER)
        # The search takes what stands before a file name's first hyphen for the name, so the name is asked for again.
        named = [other for other in others if other.name.lower() == _OTHER]
        found = [f"{_OTHER} {other.version}" for other in named if other.read_text("RECORD") is not None]
    except Exception:  # its files cannot be read, which may not stop the import
        return
    if found:
        warnings.warn(
            f"{shown(found[0])}, another distribution with this import name, is installed beside {NAME}, and files of "
            f"one may have replaced the other's: run `pip uninstall {_OTHER} {NAME}`, then install {NAME} again from "
            "its clone",
            stacklevel=3,  # whoever imports warpkit
        )
