"""Peak memory of one call: the resident set at its highest, less what it was before.

Measured in a process of its own, on Linux, which keeps the highest value (VmHWM) and lets a process reset its own. The
allocator is told to give back freed blocks at once, so that none is there from before.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from warpkit.benchmark.calls import prepare
from warpkit.benchmark.peers import OURS, PEERS, set_threads
from warpkit.benchmark.workloads import Workload, get_workload, make

Wanted = tuple[str, str, str]  # kernel, direction, party
_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_GIVE_BACK = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_TOP_PAD_": "0"}


def peaks(workload: Workload, quick: bool, threads: int, wanted: Sequence[Wanted]) -> dict[Wanted, int | None]:
    """The peak memory of each, in bytes; empty or None where the system does not tell, or the process ends early."""
    if not _RESET.exists() or not wanted:
        return {}
    asked = {"workload": workload.name, "quick": quick, "threads": threads, "wanted": wanted}
    done = subprocess.run(
        [sys.executable, "-m", "warpkit.benchmark.memory"],
        input=json.dumps(asked),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | _GIVE_BACK,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return dict(zip(wanted, lines, strict=False))


def peak(call: Callable[[], object]) -> int | None:
    """The peak memory of one call in this process, in bytes."""
    try:
        _RESET.write_text("5")  # proc(5): the highest value becomes the present one
        before = _status("VmRSS")
        call()
        return max(0, _status("VmHWM") - before)
    except OSError:
        return None


def _status(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", _STATUS.read_text(encoding="ascii"), re.MULTILINE)
    if found is None:
        raise OSError(f"no {name}")
    return int(found[1]) * 1024


def _answer(asked: dict[str, object]) -> None:
    """Print a line for each: bytes or null."""
    workload = get_workload(str(asked["workload"]))
    set_threads(int(str(asked["threads"])))
    small, real = make(workload, quick=True), make(workload, bool(asked["quick"]))
    for kernel, direction, party in asked["wanted"]:  # type: ignore[attr-defined]
        peer = PEERS.get(party, OURS)
        prepare(peer, small, kernel, direction)()  # libraries, threads and caches are there afterwards
        print(json.dumps(peak(prepare(peer, real, kernel, direction))), flush=True)


if __name__ == "__main__":
    _answer(json.load(sys.stdin))
