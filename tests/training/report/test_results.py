import json

import pytest
from report_runs import write_run

from warpkit.errors import InputError
from warpkit.training.report.results import read


def test_a_model_comes_right_after_the_one_it_is_compared_with_and_the_papers_worst_first(tmp_path):
    for model, beside, paper in [
        ("cnn", None, 0.8),
        ("fcn", None, 5.2),
        ("st_cnn_tps", "cnn", 0.5),
        ("st_cnn_affine", "cnn", 0.5),
        ("st_fcn", "fcn", 0.8),
    ]:
        write_run(tmp_path, model=model, beside=beside, paper=paper)
    assert list(read([tmp_path]).models.values()) == ["FCN", "ST-FCN", "CNN", "ST-CNN-AFFINE", "ST-CNN-TPS"]


def test_two_models_that_are_compared_with_each_other_are_both_there(tmp_path):
    write_run(tmp_path, model="a", beside="b")
    write_run(tmp_path, model="b", beside="a")
    write_run(tmp_path, model="c", beside="c")
    assert sorted(read([tmp_path]).models) == ["a", "b", "c"]


def test_experiments_come_in_the_order_in_which_they_are_given_each_run_once(tmp_path):
    for experiment in ("e", "r", "tc"):
        write_run(tmp_path, experiment)
    results = read([tmp_path / "tc", tmp_path / "e", tmp_path])
    assert list(results.experiments) == ["tc", "e", "r"]
    assert len(results.records) == 3


def test_two_experiments_of_one_column_are_told_apart(tmp_path):
    write_run(tmp_path, "rts", column="RTS")
    write_run(tmp_path, "rts_small", column="RTS")
    assert list(read([tmp_path]).experiments.values()) == ["RTS (rts)", "RTS (rts_small)"]


def test_a_run_that_does_not_say_what_it_is_is_what_its_folder_says(tmp_path):
    run = write_run(tmp_path, "rts", "cnn", 7)
    run.write("run.json", {})
    (record,) = read([tmp_path]).records
    assert (record.experiment, record.model, record.seed) == ("rts", "cnn", "7")


def test_a_broken_run_is_left_out_and_named(tmp_path):
    write_run(tmp_path, seed=0)
    broken = write_run(tmp_path, seed=1)
    (broken.folder / "run.json").write_text('{"experiment": "rts", ')
    results = read([tmp_path])
    assert [r.seed for r in results.records] == ["0"]
    assert "left out" in results.troubles[0]
    assert str(broken.folder) in results.troubles[0]


def test_nothing_but_broken_runs_is_an_error(tmp_path):
    broken = write_run(tmp_path)
    (broken.folder / "run.json").write_text("[]")
    with pytest.raises(InputError, match="expected a table"):
        read([tmp_path])


def test_an_empty_folder_is_an_error(tmp_path):
    with pytest.raises(InputError, match="holds no run"):
        read([tmp_path])


@pytest.mark.parametrize("tail", ["4,40,8.0,0.1,0.2,-", "4,40,8.0,0.1,0.2,0.3,0.4,0.5", "\x00"])
def test_metrics_that_are_no_numbers_cost_the_curves_and_nothing_else(tmp_path, tail):
    run = write_run(tmp_path)
    with (run.folder / "metrics.csv").open("a") as file:
        file.write(tail)
    results = read([tmp_path])
    (record,) = results.records
    if not record.metrics:
        assert "metrics.csv cannot be read" in results.troubles[0]
    assert record.ended


@pytest.mark.parametrize("error", [None, "0.1", float("nan"), True])
def test_a_result_without_an_error_is_unfinished(tmp_path, error):
    write_run(tmp_path, result={"error": error})
    results = read([tmp_path])
    assert not results.records[0].ended
    assert "holds no error" in results.troubles[0]


def test_what_a_terminal_would_obey_is_not_in_any_name(tmp_path):
    run = write_run(tmp_path, label="a\x1b[2Jb\nc")
    assert json.loads((run.folder / "run.json").read_text())["label"] == "a\x1b[2Jb\nc"
    assert list(read([tmp_path]).models.values()) == ["a�[2Jb c"]
