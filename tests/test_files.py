import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from warpkit.errors import InputError
from warpkit.files import check_writable, written_whole


def write(path: Path, text: str = "new") -> None:
    with written_whole(path) as draft:
        draft.write_text(text, encoding="utf-8")


def everything(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*"))


def abandoned(folder: Path, process: int) -> Path:
    """The draft that a killed process of this machine leaves."""
    with written_whole(folder / "other.png") as draft:
        assert f"-{os.getpid()}-" in draft.name
    left = folder / draft.name.replace(f"-{os.getpid()}-", f"-{process}-")
    left.write_text("half")
    return left


@pytest.fixture
def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize(
    "name", ["a.txt", "a", ".txt", "a.b.c", "x" * 251 + ".txt", "漢" * 83 + ".txt", "漢." + "x" * 250]
)
def test_any_name_that_the_file_system_takes_is_written(tmp_path, name):
    check_writable(tmp_path / name)
    assert everything(tmp_path) == []
    write(tmp_path / name)
    assert (tmp_path / name).read_text() == "new"
    assert everything(tmp_path) == [name]


def test_a_name_that_is_too_long_is_refused(tmp_path):
    for attempt in (check_writable, write):
        with pytest.raises(InputError, match="cannot be written: File name too long"):
            attempt(tmp_path / ("漢" * 84 + ".txt"))


def test_a_draft_has_the_suffix_that_names_the_format(tmp_path):
    with written_whole(tmp_path / "picture.of.me.png") as draft:
        assert draft.suffix == ".png"


def test_folders_are_made_by_writing_and_not_by_the_check(tmp_path):
    check_writable(tmp_path / "a" / "b" / "c.txt")
    assert everything(tmp_path) == []
    write(tmp_path / "a" / "b" / "c.txt")
    assert everything(tmp_path) == ["a", "a/b", "a/b/c.txt"]


def test_an_error_leaves_the_old_file_and_no_draft(tmp_path):
    write(tmp_path / "a.txt", "old")
    with pytest.raises(UnicodeEncodeError), written_whole(tmp_path / "a.txt") as draft:
        draft.write_text("half \ud800", encoding="utf-8")
    assert (tmp_path / "a.txt").read_text() == "old"
    assert everything(tmp_path) == ["a.txt"]


def test_the_check_touches_no_file_that_is_there(tmp_path):
    for name in ("d.svg", "d.svg.try", ".d.svg.try"):
        (tmp_path / name).write_text("mine")
    (tmp_path / "thesis.txt").write_text("mine")
    (tmp_path / "e.svg.try").symlink_to("thesis.txt")
    before = {file: (file.read_text(), file.lstat()) for file in tmp_path.iterdir()}
    for name in ("d.svg", "e.svg"):
        check_writable(tmp_path / name)
    for file, (text, state) in before.items():
        assert (file.read_text(), file.lstat().st_mtime_ns) == (text, state.st_mtime_ns)
    assert set(tmp_path.iterdir()) == set(before)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755, 0o666])
def test_a_file_that_is_replaced_hands_on_its_mode_which_its_draft_has_already(tmp_path, mode):
    file = tmp_path / "a.txt"
    file.write_text("old")
    file.chmod(mode)
    with written_whole(file) as draft:
        assert stat.S_IMODE(draft.stat().st_mode) == mode
        draft.write_text("new")
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == ("new", mode)


def test_a_new_file_has_the_mode_that_the_umask_leaves(tmp_path):
    before = os.umask(0o027)
    try:
        write(tmp_path / "a.txt")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640


def test_a_read_only_file_is_refused_and_stays(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("old")
    file.chmod(0o444)
    for attempt in (check_writable, write):
        with pytest.raises(InputError, match=r"a\.txt cannot be written: it is read-only"):
            attempt(file)
    assert file.read_text() == "old"


def test_a_folder_and_a_file_in_the_place_of_a_folder_are_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    for attempt in (check_writable, write):
        with pytest.raises(InputError, match="it is a folder"):
            attempt(tmp_path)
        for path in ("file/a.txt", "file/b/a.txt"):
            with pytest.raises(InputError, match="cannot be written: Not a directory"):
                attempt(tmp_path / path)
        with pytest.raises(InputError, match="is no path"):
            attempt(tmp_path / "a\0b")
    assert everything(tmp_path) == ["file"]


def test_a_link_stays_and_what_it_points_at_is_replaced(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link.txt").symlink_to("there/a.txt")
    check_writable(tmp_path / "link.txt")
    for text in ("first", "second"):
        write(tmp_path / "link.txt", text)
        assert (tmp_path / "link.txt").is_symlink()
        assert (tmp_path / "there" / "a.txt").read_text() == text
    assert everything(tmp_path) == ["link.txt", "there", "there/a.txt"]


def test_a_link_to_itself_is_refused(tmp_path):
    (tmp_path / "a.txt").symlink_to("a.txt")
    for attempt in (check_writable, write):
        with pytest.raises(InputError, match="cannot be written: Too many levels of symbolic links"):
            attempt(tmp_path / "a.txt")


def test_a_pipe_is_written_to_and_stays(tmp_path):
    pipe, got = tmp_path / "a.txt", []
    os.mkfifo(pipe)
    check_writable(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()))
    reader.start()
    write(pipe, "through")
    reader.join()
    assert got == ["through"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that Linux has")
def test_a_device_is_written_to_and_stays():
    for device in ("/dev/null", "/dev/full"):
        check_writable(Path(device))
    write(Path("/dev/null"))
    with pytest.raises(InputError, match="/dev/full cannot be written: No space left on device"):
        write(Path("/dev/full"))
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


@pytest.mark.parametrize("into", ["file", "pipe"])
def test_stdout_by_its_name_goes_between_what_is_printed(tmp_path, into):
    code = (
        "from pathlib import Path; from warpkit.files import written_whole\n"
        "print('before')\n"
        "with written_whole(Path('/dev/stdout')) as draft: draft.write_text('whole\\n')\n"
        "print('after')"
    )
    with (tmp_path / "out.txt").open("w+") as file:
        stdout = file if into == "file" else subprocess.PIPE
        run = subprocess.run([sys.executable, "-c", code], stdout=stdout, text=True, check=True)
    printed = (tmp_path / "out.txt").read_text() if into == "file" else run.stdout
    assert printed == "before\nwhole\nafter\n"


def test_drafts_of_dead_processes_are_cleared_and_no_others(tmp_path, dead_process):
    alive = abandoned(tmp_path, os.getppid())
    dead = abandoned(tmp_path, dead_process)
    elsewhere = tmp_path / f".warpkit-00000000-{dead_process}-0123abcd.png"  # another machine's
    mine = tmp_path / f".warpkit-{dead_process}"
    for file in (elsewhere, mine):
        file.write_text("")
    check_writable(tmp_path / "a.txt")
    assert dead.exists()
    write(tmp_path / "a.txt")
    assert not dead.exists()
    assert all(file.exists() for file in (alive, elsewhere, mine))


def test_a_killed_process_leaves_nothing_once_its_target_is_written_again(tmp_path):
    code = (
        "import os, signal, sys; from pathlib import Path; from warpkit.files import written_whole\n"
        "with written_whole(Path(sys.argv[1])) as draft:\n"
        "    draft.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.txt")], check=False)
    assert killed.returncode == -9
    assert len(everything(tmp_path)) == 1
    write(tmp_path / "a.txt")
    assert everything(tmp_path) == ["a.txt"]
