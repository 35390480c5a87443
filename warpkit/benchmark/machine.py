"""The facts of a machine that the numbers depend on; none tells whose machine it is."""

import os
import platform
import re
import statistics
import time
from pathlib import Path

import torch

from warpkit.benchmark.peer import Peer
from warpkit.benchmark.peers import OURS
from warpkit.benchmark.results import Machine
from warpkit.sampling.backend import choose
from warpkit.sampling.sampler import simple_problem

_CPUINFO = Path("/proc/cpuinfo")


def describe(peers: list[Peer]) -> Machine:
    """The facts of this machine, and the versions of these peers."""
    return Machine(
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        threads=torch.get_num_threads(),
        memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0,
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        torch=torch.__version__,
        warpkit=OURS.version(),
        backend=_backend(),
        peers={peer.name: peer.version() for peer in peers if peer.distributions != OURS.distributions},
    )


def copy_bandwidth(quick: bool) -> float:
    """The bytes a second that are read and written by a copy too large for any cache."""
    source = torch.ones(2**22 if quick else 2**26)  # float32
    target = torch.empty_like(source)
    times = []
    for _ in range(7):
        start = time.perf_counter()
        target.copy_(source)
        times.append(time.perf_counter() - start)
    return 2 * source.numel() * source.element_size() / statistics.median(times[1:])


def _processor() -> str:
    if _CPUINFO.exists():
        found = re.search(r"^model name\s*:\s*(.+)$", _CPUINFO.read_text(encoding="utf-8"), re.MULTILINE)
        if found:
            return found[1].strip()
    return platform.processor() or platform.machine()


def _backend() -> str:
    """The backend that is chosen for a float image, and its instruction set."""
    name, chosen = choose(simple_problem())
    return ", ".join(filter(None, (name, chosen.describe())))
