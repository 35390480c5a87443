import numpy as np
import pytest
from report_runs import write_run

from warpkit.training.report.curves import learning, watch
from warpkit.training.report.results import read


def thick(axes):
    return [line for line in axes.lines if line.get_linewidth() == 2 and len(line.get_xdata())]


def thin(axes):
    return [line for line in axes.lines if line.get_linewidth() < 1]


def test_each_run_is_a_thin_line_and_the_mean_of_those_that_have_ended_thick(tmp_path):
    runs = [write_run(tmp_path, seed=seed, error=None if seed == 2 else 0.1) for seed in range(3)]
    for run, scale in zip(runs, (1, 3, 100), strict=True):
        run.write_metrics([{"epoch": e, "train/loss": scale / e, "train/error": 0.1} for e in (1, 2)])
    loss, error = learning(read([tmp_path]), "rts").axes
    assert [list(line.get_ydata()) for line in thin(loss)] == [[1, 0.5], [3, 1.5], [100, 50]]
    (mean,) = thick(loss)
    assert list(mean.get_xdata()) == [1, 2]
    assert list(mean.get_ydata()) == [2, 1]
    assert thick(error)[0].get_ydata() == pytest.approx([10, 10])  # %


def test_the_error_is_that_of_validation_where_there_is_one(tmp_path):
    run = write_run(tmp_path)
    assert learning(read([tmp_path]), "rts").axes[1].get_title() == "error on the training images, %"
    run.write_metrics([{"epoch": 1, "train/error": 0.1}, {"epoch": 2, "train/error": 0.1, "valid/error": 0.2}])
    axes = learning(read([tmp_path]), "rts").axes[1]
    assert axes.get_title() == "error on the validation images, %"
    assert [list(line.get_xydata()[0]) for line in thin(axes)] == [[2, 20]]


def test_a_model_has_one_colour_in_all_pictures(tmp_path):
    for model in ("a", "b", "c"):
        write_run(tmp_path, "r", model, watched=("layers.0",))
    write_run(tmp_path, "rts", "c", watched=("layers.0",))
    results = read([tmp_path])
    in_r = [line.get_color() for line in thick(learning(results, "r").axes[0])]
    assert len(set(in_r)) == 3
    assert [line.get_color() for line in thick(learning(results, "rts").axes[0])] == in_r[2:]
    assert thick(watch(results, "rts").axes[0])[0].get_color() == in_r[2]


def test_an_axis_is_logarithmic_where_numbers_are_far_apart_and_hardly_any_is_zero(tmp_path):
    run = write_run(tmp_path)
    run.write_metrics({"epoch": e, "train/loss": 10.0**-e, "train/error": 0.5 * (e % 2)} for e in range(1, 9))
    loss, error = learning(read([tmp_path]), "rts").axes
    assert (loss.get_yscale(), error.get_yscale()) == ("log", "linear")


def test_each_transformer_has_a_row_of_what_its_watch_has_seen(tmp_path):
    write_run(tmp_path, model="cnn")
    write_run(tmp_path, model="st_cnn", watched=("layers.0", "layers.2"))
    panels = np.array(watch(read([tmp_path]), "rts").axes).reshape(2, 4)
    assert [axes.get_title() for axes in panels[0]] == ["outside", "area", "distance", "gradient"]
    assert [axes.get_ylabel() for axes in panels[:, 0]] == ["ST-CNN, at\nlayers.0", "ST-CNN, at\nlayers.2"]
    assert list(thick(panels[1, 1])[0].get_ydata()) == pytest.approx([0.9] * 3)


def test_without_epochs_or_transformers_there_is_no_picture(tmp_path):
    run = write_run(tmp_path)
    assert watch(read([tmp_path]), "rts") is None
    (run.folder / "metrics.csv").unlink()
    assert learning(read([tmp_path]), "rts") is None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0])
def test_a_run_that_went_wrong_is_drawn_all_the_same(tmp_path, value):
    run = write_run(tmp_path, label="$\\broken{$")
    run.write_metrics([{"epoch": 1, "train/loss": value, "a/area": value}, {"train/error": 0.1}])
    for draw in (learning, watch):
        draw(read([tmp_path]), "rts").canvas.draw()
