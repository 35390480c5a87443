import json
import sys

import pytest
import torch
from benchmark_results import results, row
from typer.testing import CliRunner

from warpkit.benchmark.results import to_json
from warpkit.cli import app

SHORT = ["--quick", "--workload", "tiny", "--kernel", "bilinear", "--peer", "torch", "--repeats", 2, "--no-memory"]


@pytest.fixture(autouse=True)
def threads_stay():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def run(*arguments: object):
    return CliRunner().invoke(app, ["bench", *map(str, arguments)])


def stored(tmp_path, rows, **how):
    path = tmp_path / "stored.json"
    path.write_text(to_json(results(rows, **how)), encoding="utf-8")
    return path


def test_json_on_stdout_is_nothing_but_json():
    done = run(*SHORT, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["version"] == 1
    assert [(r["workload"], r["direction"], r["peer"], r["status"]) for r in found["rows"]] == [
        ("tiny", "forward", "torch", "same"),
        ("tiny", "forward+backward", "torch", "same"),
    ]
    assert [it["width"] for it in found["accuracy"]][-1] == 32768
    assert found["bandwidth"] > 0
    assert found["machine"]["threads"] == torch.get_num_threads()


def test_the_table_fits_into_80_columns():
    done = run(*SHORT, "--direction", "forward", "--threads", 1)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.split()[:3] == ["bilinear", "fwd", "torch"] for line in lines)


def test_a_page_and_its_pictures_from_a_run(tmp_path):
    page = tmp_path / "docs" / "benchmarks.md"
    done = run(*SHORT, "--page", page, "--plot", tmp_path / "ratios.svg", "--results", tmp_path / "r.json")
    assert done.exit_code == 0, done.output
    assert "| tiny 1×1×28×28 | bilinear | forward |" in page.read_text(encoding="utf-8")
    assert {file.name for file in (page.parent / "img").iterdir()} == {"benchmarks.png", "accuracy.png"}
    assert (tmp_path / "ratios.svg").read_text(encoding="utf-8").startswith("<?xml")
    again = tmp_path / "again.md"
    assert run("--from", tmp_path / "r.json", "--page", again).exit_code == 0
    assert again.read_text(encoding="utf-8") == page.read_text(encoding="utf-8")


def test_resume_measures_only_what_is_missing(tmp_path):
    kept = tmp_path / "r.json"
    assert run(*SHORT, "--direction", "forward", "--results", kept).exit_code == 0
    before = json.loads(kept.read_text(encoding="utf-8"))["rows"]
    assert run(*SHORT, "--results", kept, "--resume").exit_code == 0
    after = json.loads(kept.read_text(encoding="utf-8"))["rows"]
    assert after[:1] == before
    assert [r["direction"] for r in after] == ["forward", "forward+backward"]


def test_what_was_measured_before_an_interruption_is_kept(tmp_path, monkeypatch):
    from warpkit.benchmark import run as runs

    real = runs.measure

    def interrupted(plan, known):
        yield next(real(plan, known))
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "measure", interrupted)
    done = run(*SHORT, "--results", tmp_path / "r.json")
    assert done.exit_code == 130
    assert "Interrupted: 1 rows were measured" in done.output
    assert len(json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["rows"]) == 1


@pytest.mark.parametrize(("ratio", "code"), [(1.2, 0), (1.0, 1)])
def test_a_missed_floor_is_exit_code_1_and_is_named(tmp_path, ratio, code):
    done = run("--from", stored(tmp_path, [row(workload="photos", kernel="bilinear", ratio=ratio)]), "--check")
    assert done.exit_code == code
    said = "missed: photos, bilinear, forward, beside torch: 1, ≥ 1.1 is asked for"
    assert (said in done.output) == (code == 1)


def test_check_says_where_it_has_nothing_to_check(tmp_path):
    assert run("--from", stored(tmp_path, []), "--check").exit_code == 2
    assert run("--from", stored(tmp_path, [row()], quick=True), "--check").exit_code == 2
    assert run("--quick", "--check").exit_code == 2


def test_peers_that_are_missing_are_named_in_a_line(monkeypatch):
    for module in ("kornia", "interpol", "cv2", "kornia_rs"):
        monkeypatch.setitem(sys.modules, module, None)
    done = run(*[a for a in SHORT if a not in ("--peer", "torch")], "--direction", "forward")
    assert "Not installed: kornia, torch-interpol, opencv, kornia-rs. pip install kornia torch-interpol" in done.output


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--workload", "phots"], "unknown workload 'phots'. Did you mean 'photos'"),
        (["--kernel", "bilnear"], "unknown kernel 'bilnear'. Did you mean 'bilinear'"),
        (["--peer", "torhc"], "unknown peer 'torhc'. Did you mean 'torch'"),
        (["--direction", "backward"], "--direction: expected forward or both, got 'backward'"),
        (["--threads", 0], "--threads: expected 1 or more, got 0"),
        (["--seconds", 0], "--seconds: expected more than 0, got 0.0"),
        (["--repeats", 0], "--repeats: expected 1 or more, got 0"),
        (["--seconds", 1, "--repeats", 1], "expected one of them"),
        (["--workload", "megapixels", "--kernel", "nearest", "--peer", "torch"], "nothing to measure"),
        (["--kernel", "bspline", "--peer", "torch", "--plot", "x.png"], "no peer can do this, nothing to draw"),
        (["--plot", "x.bmpp"], "--plot: cannot draw 'x.bmpp'"),
        (["--page", "x.html"], "--page: expected a .md file, got 'x.html'"),
        (["--resume"], "--resume: expected --results FILE"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_measured(flags, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run(*flags)
    assert done.exit_code == 2
    assert said in done.stderr
    assert done.stdout == ""


def test_where_nothing_can_be_written_is_told_before_the_measuring(tmp_path):
    (tmp_path / "file").write_text("no folder")
    done = run(*SHORT, "--results", tmp_path / "file" / "r.json")
    assert done.exit_code == 2
    assert "cannot be written" in done.stderr
