import gzip
import io
import os
import tarfile
import tracemalloc
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace

import pytest

from warpkit.datasets.archive import Limits
from warpkit.datasets.sources import Source
from warpkit.errors import InputError

SOURCE = Source("somethings", "https://example.org", Limits(files=4, bytes=1000))


def entry(name: str, content: bytes = b"", **facts: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for fact, value in facts.items():
        setattr(info, fact, value)
    return info, content


def pack(folder: Path, entries: Iterable[tuple[tarfile.TarInfo, bytes]]) -> None:
    with tarfile.open(folder / "a.tar.gz", "w:gz") as tar:
        for info, content in entries:
            tar.addfile(info, io.BytesIO(content))


def test_files_and_folders_are_unpacked_and_nothing_else_is_left(tmp_path):
    pack(tmp_path, [entry("a", type=tarfile.DIRTYPE), entry("a/b.txt", b"text"), entry("c", b"beside")])
    assert SOURCE.folder(tmp_path, "a", "a.tar.gz") == tmp_path / "a"
    assert (tmp_path / "a" / "b.txt").read_bytes() == b"text"
    assert sorted(os.listdir(tmp_path)) == ["a", "a.tar.gz"]


@pytest.mark.parametrize(
    ("entries", "complaint"),
    [
        ([entry(f"a/{i}") for i in range(5)], "it holds more than 4 files"),
        ([entry("a/b", bytes(600)), entry("a/c", bytes(600))], "it holds more than 1,000 bytes"),
        ([entry("a/b", type=tarfile.SYMTYPE, linkname="/etc/passwd")], "it holds more than files and folders"),
        ([entry("a/b", b"x"), entry("a/c", type=tarfile.LNKTYPE, linkname="a/b")], "more than files and folders"),
        ([entry("a/b", type=tarfile.CHRTYPE)], "it holds more than files and folders"),
        ([entry("../outside", b"x")], "outside"),
        ([entry("a/b", pax_headers={"comment": "x" * 2**21})], "a header is longer than that of any file"),
        ([entry("a/b", pax_headers={"GNU.sparse.size": "5", "GNU.sparse.map": "0,1"})], "more than files and folders"),
    ],
)
def test_what_a_data_set_does_not_hold_is_refused_and_leaves_nothing_behind(tmp_path, entries, complaint):
    (tmp_path / "in").mkdir()
    pack(tmp_path / "in", entries)
    with pytest.raises(InputError, match=rf"a\.tar\.gz cannot be unpacked: .*{complaint}.*https://example\.org"):
        SOURCE.folder(tmp_path / "in", "a", "a.tar.gz")
    assert os.listdir(tmp_path) == ["in"]
    assert os.listdir(tmp_path / "in") == ["a.tar.gz"]


def test_a_file_that_does_not_fit_on_the_disk_is_not_begun(tmp_path, monkeypatch):
    pack(tmp_path, [entry("a/b", bytes(600))])
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=599))
    with pytest.raises(InputError, match="600 bytes are needed for the next file, 599 are free"):
        SOURCE.folder(tmp_path, "a", "a.tar.gz")


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.REGTYPE])
def test_of_a_bomb_no_more_is_inflated_than_a_header_or_the_data_set_needs(tmp_path, kind):
    with gzip.open(tmp_path / "a.tar.gz", "wb") as bomb:
        bomb.write(entry("a/b", type=kind, size=2**26)[0].tobuf())
        for _ in range(64):
            bomb.write(bytes(2**20))
    tracemalloc.start()
    with pytest.raises(InputError, match=r"a header is longer|more than 1,000 bytes"):
        SOURCE.folder(tmp_path, "a", "a.tar.gz")
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


def test_headers_without_end_are_an_error(tmp_path):
    with gzip.open(tmp_path / "a.tar.gz", "wb") as bomb:
        bomb.write(
            2000 * (entry("x", type=tarfile.XGLTYPE, size=16)[0].tobuf() + b"16 comment=good\n".ljust(512, b"\0"))
        )
    with pytest.raises(InputError, match="cannot be unpacked"):
        SOURCE.folder(tmp_path, "a", "a.tar.gz")


def test_what_a_killed_process_has_unpacked_is_taken_away(tmp_path):
    pack(tmp_path, [entry("a/b.txt", b"text")])
    (tmp_path / ".a-unpacking-killed" / "a").mkdir(parents=True)
    SOURCE.folder(tmp_path, "a", "a.tar.gz")
    assert sorted(os.listdir(tmp_path)) == ["a", "a.tar.gz"]
