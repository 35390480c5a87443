from report_runs import write_run

from warpkit.training.report import table
from warpkit.training.report.results import read


def test_a_cell_has_mean_spread_and_change_of_ours_and_the_papers(tmp_path):
    for seed, error in enumerate((0.01, 0.02, 0.03)):
        write_run(tmp_path, model="cnn", seed=seed, error=2 * error, paper=0.8)
        write_run(tmp_path, model="st_cnn", seed=seed, error=error, paper=0.5, beside="cnn")
    found = table.errors(read([tmp_path]))
    assert found.heads == ("model", "RTS")
    assert found.rows == [
        ("CNN", "4.00 ± 2.00\n3 seeds\npaper 0.8"),
        ("ST-CNN", "2.00 ± 1.00\n3 seeds, −50 %\npaper 0.5, −38 %"),
    ]


def test_one_seed_has_no_spread(tmp_path):
    write_run(tmp_path, error=0.0123)
    assert table.errors(read([tmp_path])).rows == [("CNN", "1.23\n1 seed")]


def test_a_model_of_several_experiments_has_one_row(tmp_path):
    write_run(tmp_path, "r", error=0.01)
    write_run(tmp_path, "rts", error=0.02)
    write_run(tmp_path, "rts", "fcn", error=0.02, beside="cnn")
    assert table.errors(read([tmp_path])).rows == [
        ("CNN", "1.00\n1 seed", "2.00\n1 seed"),
        ("FCN", "–", "2.00\n1 seed, ±0 %"),
    ]


def test_without_the_model_beside_there_is_no_change(tmp_path):
    write_run(tmp_path, beside="fcn", error=0.01, paper=0.5)
    assert table.errors(read([tmp_path])).rows == [("CNN", "1.00\n1 seed\npaper 0.5")]


def test_a_perfect_model_beside_gives_no_change(tmp_path):
    write_run(tmp_path, model="cnn", error=0.0)
    write_run(tmp_path, model="st_cnn", error=0.01, beside="cnn")
    assert table.errors(read([tmp_path])).rows[1] == ("ST-CNN", "1.00\n1 seed")


def test_what_has_not_ended_is_in_no_average_but_listed(tmp_path):
    write_run(tmp_path, seed=0, error=0.01)
    write_run(tmp_path, seed=1, error=None, epochs=2)
    write_run(tmp_path, model="st_cnn", error=None, paper=0.5)
    results = read([tmp_path])
    assert dict(table.errors(results).rows) == {"CNN": "1.00\n1 seed", "ST-CNN": "unfinished\npaper 0.5"}
    assert set(table.unfinished(results)) == {
        "RTS, CNN, seed 1: 2 epochs so far",
        "RTS, ST-CNN, seed 0: 3 epochs so far",
    }


def test_apples_and_pears_in_one_cell_are_named(tmp_path):
    write_run(tmp_path, seed=0)
    write_run(tmp_path, seed=1)
    write_run(tmp_path, seed=2, training={"epochs": 3, "rate": 0.1}, train_images=400, spec={"layers": []})
    assert table.differences(read([tmp_path])) == [
        "RTS: training.rate: 0.005 (CNN seeds 0, 1); 0.1 (CNN seed 2)",
        "RTS: train_images: 5000 (CNN seeds 0, 1); 400 (CNN seed 2)",
        "RTS, CNN: spec.version: 1 (CNN seeds 0, 1); nothing (CNN seed 2)",
        "RTS, CNN: spec.layers.0: 'Flatten' (CNN seeds 0, 1); nothing (CNN seed 2)",
    ]


def test_runs_of_other_weights_and_precision_are_named(tmp_path):
    write_run(tmp_path, seed=0, weights={"data.encoder": "a"}, precision="32-true")
    write_run(tmp_path, seed=1, weights={"data.encoder": "b"}, precision="bf16-mixed")
    assert table.differences(read([tmp_path])) == [
        "RTS: precision: '32-true' (CNN seed 0); 'bf16-mixed' (CNN seed 1)",
        "RTS, CNN: weights.data.encoder: 'a' (CNN seed 0); 'b' (CNN seed 1)",
    ]


def test_models_that_are_compared_on_other_data_are_named(tmp_path):
    write_run(tmp_path, model="cnn", data={"distortion": "rts"})
    write_run(tmp_path, model="st_cnn", beside="cnn", data={"distortion": "r"})
    assert table.differences(read([tmp_path])) == ["RTS: data.distortion: 'rts' (CNN); 'r' (ST-CNN)"]


def test_other_networks_and_other_experiments_are_meant_to_differ(tmp_path):
    write_run(tmp_path, "r", "cnn", spec={"layers": []}, parameters=1)
    write_run(tmp_path, "r", "st_cnn", spec={"layers": [1]}, parameters=2)
    write_run(tmp_path, "rts", "cnn", train_images=4000)
    assert table.differences(read([tmp_path])) == []


def test_what_a_run_does_not_know_is_no_difference(tmp_path):
    write_run(tmp_path, seed=0)
    old = write_run(tmp_path, seed=1)
    old.write("run.json", {"experiment": "rts", "model": "cnn", "seed": 1})
    assert table.differences(read([tmp_path])) == []


def test_a_run_that_is_older_than_an_option_had_its_default(tmp_path):
    write_run(tmp_path, seed=0, data={"distortion": "rts"}, training={"rate": 0.1})
    write_run(tmp_path, seed=1, data={"distortion": "rts", "smoothing": 0.0}, training={"rate": 0.1, "backbone": None})
    assert table.differences(read([tmp_path])) == []
    write_run(tmp_path, seed=2, data={"distortion": "rts", "smoothing": 0.1}, training={"rate": 0.1})
    assert table.differences(read([tmp_path])) == ["RTS: data.smoothing: 0.0 (CNN seeds 0, 1); 0.1 (CNN seed 2)"]


def test_a_seed_that_is_there_twice_is_named(tmp_path):
    write_run(tmp_path / "a")
    write_run(tmp_path / "b")
    assert table.differences(read([tmp_path])) == ["RTS, CNN: seed 0 more than once"]


def test_costs_are_means_over_seeds_and_a_share_that_is_missing_is_a_dash(tmp_path):
    write_run(tmp_path, seed=0, result={"seconds": 90, "images_per_second": 2000})
    write_run(tmp_path, seed=1, result={"seconds": 110, "images_per_second": 3000})
    write_run(tmp_path, model="st_cnn", beside="cnn", watched=("layers.0",))
    assert table.costs(read([tmp_path])).rows == [
        ("RTS", "CNN", "105,610", "100", "2,500", "3.0 %", "–", "–"),
        ("RTS", "ST-CNN", "105,610", "93", "2,150", "3.0 %", "21.0 %", "2.0 %"),
    ]


def test_what_was_measured_is_said_for_each_experiment(tmp_path):
    write_run(tmp_path, "r", seed=0, epochs=3)
    write_run(tmp_path, "r", seed=1, epochs=4)
    assert table.measured(read([tmp_path])).rows == [("R", "Digits, r", "1,000 digits", "5,000", "3, 4")]


def test_a_run_of_which_hardly_anything_is_known_has_a_row(tmp_path):
    run = write_run(tmp_path)
    run.write("run.json", {})
    run.write("result.json", {"error": 0.01, "shares": None, "warnings": "none", "seconds": "long"})
    results = read([tmp_path])
    assert table.errors(results).rows == [("cnn", "1.00\n1 seed")]
    assert table.costs(results).rows == [("rts", "cnn", *["–"] * 6)]
    assert table.measured(results).rows == [("rts", *["–"] * 4)]
    assert table.warnings(results) == []


def test_a_warning_is_listed_once_with_the_seeds_it_came_up_in(tmp_path):
    for seed in (0, 1):
        write_run(tmp_path, seed=seed, result={"warnings": ["layers.0: it folds"]})
    assert table.warnings(read([tmp_path])) == ["RTS, CNN, seeds 0, 1: layers.0: it folds"]


def test_what_tasks_measure_besides_is_told_for_those_that_do(tmp_path):
    for seed, folds in ((0, 0.0), (1, 0.03)):
        write_run(tmp_path, "hands", "velocity", seed, result={"measured": {"overlap": 0.8, "folds": folds}})
    write_run(tmp_path, "hands", "affine", 0, result={"measured": {"overlap": 0.5, "folds": "none"}})
    write_run(tmp_path)
    told = table.also_measured(read([tmp_path]))
    assert list(told.heads) == ["experiment", "model", "overlap", "folds"]
    assert sorted(told.rows) == [("HANDS", "AFFINE", "50.0 %", "–"), ("HANDS", "VELOCITY", "80.0 %", "1.5 %")]
