import resource
import subprocess
import sys

import pytest
import torch

import warpkit as wk
from warpkit.cli import memory
from warpkit.cli.memory import available, check_memory
from warpkit.cli.photo import Photo, read, write
from warpkit.errors import InputError

MIB = 2**20


def test_no_more_is_available_than_the_machine_has_and_a_limit_leaves():
    pages = resource.getpagesize()
    total = int(subprocess.check_output(["getconf", "_PHYS_PAGES"])) * pages
    assert 0 < available() <= total
    code = (
        "import resource; from warpkit.cli.memory import available\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2**40, 2**40)); roomy = available()\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        f"resource.setrlimit(resource.RLIMIT_AS, (used + 64 * {MIB}, 2**40)); print(roomy, available())"
    )
    if sys.platform == "linux":
        roomy, tight = map(int, subprocess.check_output([sys.executable, "-c", code]).split())
        assert tight <= 64 * MIB < roomy


@pytest.mark.parametrize("transform", ["affine", "thin_plate_spline"])
def test_what_a_picture_needs_grows_with_its_pixels_and_pages(monkeypatch, transform):
    monkeypatch.setattr(memory, "available", lambda: 1000 * MIB)
    component, photo = wk.get_transform(transform), Photo(torch.zeros(3, 10, 10, dtype=torch.uint8))
    check_memory([photo], [(1000, 1000)], component)
    check_memory([photo] * 20, [(1000, 1000)] * 20, component)  # one after the other
    with pytest.raises(InputError, match=r"20000 × 10000 pixels need some .* GiB of memory, and 1\.0 are free: try"):
        check_memory([photo], [(10000, 20000)], component)
    with pytest.raises(InputError, match="GiB of memory"):
        check_memory([photo] * 400, [(1000, 1000)] * 400, component)  # whose results alone are 1.2 GB


def test_a_file_that_claims_to_be_large_is_not_read_without_room(tmp_path, monkeypatch):
    write(Photo(torch.zeros(1, 500, 500, dtype=torch.uint8)), tmp_path / "a.png")
    monkeypatch.setattr(memory, "available", lambda: MIB)
    with pytest.raises(InputError, match=r"a\.png: 500 × 500 pixels need some"):
        read(tmp_path / "a.png")
