"""`warpkit info`: the facts that a bug report needs."""

import platform
from importlib.metadata import PackageNotFoundError, entry_points, version
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from warpkit.cli.terminal import Terminal, say_json
from warpkit.distribution import NAME
from warpkit.groups import strays
from warpkit.quoting import reason

_PACKAGES = ("numpy", "pydantic", "typer", "rich", "jaxtyping", "matplotlib", "pillow", "mlxtend")
_KINDS = ("transforms", "kernels", "modules", "backends")


def info(as_json: Annotated[bool, typer.Option("--json", help="For programs: one object.")] = False) -> None:
    """Show versions, backends, threads and plugins, for a bug report."""
    facts = collect()
    if as_json:
        say_json(facts)
        return
    table = Table(show_header=False, box=None)
    for name, value in facts.items():
        table.add_row(Text(name, "bold"), Text(_lines(value)))
    Terminal().print(table)


def collect() -> dict[str, Any]:
    """The facts by name, as plain data."""
    import torch

    return {
        "warpkit": _version(NAME),
        "torch": torch.__version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": platform.platform(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "accelerator": str(torch.accelerator.current_accelerator(check_available=True) or "none"),
        "backends": _backends(),
        "plugins": _plugins(),
        "packages": {name: _version(name) for name in _PACKAGES},
    }


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"


def _backends() -> dict[str, str]:
    """A description of each backend; the one that is chosen for a small image on the CPU is marked."""
    import torch

    from warpkit.sampling.backend import backends, choose
    from warpkit.sampling.sampler import simple_problem

    problem = simple_problem()
    chosen, _ = choose(problem)
    states = {}
    for name in backends.names():
        try:
            backend = backends.shared(name, torch.device("cpu"))
            refusal = backend.refuses(problem)
            state = "chosen" if name == chosen else "available"
            states[name] = f"it {refusal}" if refusal else ", ".join(filter(None, (state, backend.describe())))
        except Exception as error:  # whatever a stranger's backend does
            states[name] = f"broken: {reason(error)}"
    return states


def _plugins() -> dict[str, list[str]]:
    """The components that each distribution adds, by its name and version; warpkit's own are left out.

    One whose entry-point group is misspelt is among them, and says so.
    """
    plugins: dict[str, list[str]] = {}
    for kind in _KINDS:
        for point in entry_points(group=f"warpkit.{kind}"):
            origin = f"{point.dist.name} {point.dist.version}" if point.dist else "unknown package"
            if not point.dist or point.dist.name != NAME:
                plugins.setdefault(origin, []).append(f"{kind[:-1]} {point.name}")
    for stray in strays():
        plugins.setdefault(stray.origin, []).append(f"{stray.name} (in {stray.group}, a group that nothing reads)")
    return plugins


def _lines(value: Any) -> str:
    if not isinstance(value, dict):
        return str(value)
    return "\n".join(f"{key}: {', '.join(v) if isinstance(v, list) else v}" for key, v in value.items()) or "none"
