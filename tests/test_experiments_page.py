import json
import tomllib
from pathlib import Path

from docs_tools import ROOT, tool


def test_the_page_of_experiments_shows_the_results_that_are_kept():
    """`python docs/tools/experiments.py` brings it up to date."""
    experiments = tool("experiments")
    text = experiments.PAGE.read_text(encoding="utf-8")
    assert experiments.page(text) == text


def test_kept_runs_do_not_say_where_data_lay_on_a_machine():
    files = list((ROOT / "docs/results").rglob("run.json"))
    assert len(files) > 50
    for file in files:
        run = json.loads(file.read_text(encoding="utf-8"))
        paths = [run["data"].get(name) for name in ("folder", "test_folder", "encoder")]
        assert not any(path is not None and Path(path).is_absolute() for path in paths), file
        assert "=/" not in run["command"], file


def test_runs_on_mnist_whole_are_of_experiments_that_come_with_warpkit_and_each_is_made_once():
    """`python docs/tools/whole_mnist.py` makes them."""
    listed = [*tool("whole_mnist").jobs()]
    assert len({str(job) for job in listed}) == len(listed)
    for job in listed:
        file = ROOT / "warpkit/training/experiments" / f"{job.experiment}.toml"
        assert job.model in tomllib.loads(file.read_text(encoding="utf-8"))["models"], job
