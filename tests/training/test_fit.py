import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from warpkit.errors import InputError
from warpkit.spec.files import load
from warpkit.training.experiment import plans
from warpkit.training.fit import Fitting
from warpkit.training.runs import Run, find_runs


def fitted(spec, out, model="plain", seed=0, overrides=None):
    (plan,) = plans(spec, [model], overrides)
    result = Fitting(accelerator="cpu", progress=False)(plan, seed, out)
    return result, Run(out / "small" / model / str(seed))


def weights(run: Run) -> dict[str, torch.Tensor]:
    return load(run.folder / "model.safetensors").state_dict()


def command(spec, out, *more):
    """`warpkit train`, as a process of its own."""
    words = ["train", spec, "--out", out, "--accelerator", "cpu", "--threads", 1, *more]
    return [str(Path(sys.executable).with_name("warpkit")), *map(str, words)]


def test_a_run_learns_and_leaves_what_was_asked_how_it_went_and_what_came_of_it(small, tmp_path):
    result, run = fitted(small, tmp_path, "warped", overrides={"training.epochs": 30})
    assert [row["epoch"] for row in run.metrics] == list(range(1, 31))
    assert run.metrics[-1]["train/loss"] < run.metrics[0]["train/loss"] / 2
    assert result["error"] < 0.5
    assert run.result == result
    assert result["tested_on"] == "40 digits of MNIST's test files, R"
    assert set(result["shares"]) == {"distorting", "localization", "sampling"}
    assert 0 < sum(result["shares"].values()) < 1
    assert run.asked["label"] == "warped"
    assert run.asked["paper"] == 1.5
    assert run.asked["parameters"] == sum(value.numel() for value in weights(run).values())
    assert {"0/outside", "0/distance", "0/gradient"} <= run.metrics[-1].keys()
    assert any((run.folder / "tensorboard").iterdir())
    assert find_runs([tmp_path]) == [run]


@pytest.mark.parametrize("model", ["plain", "warped", "normalised"])
def test_the_error_is_that_of_the_weights_that_are_kept(small, tmp_path, model):
    result, run = fitted(small, tmp_path, model)
    task = plans(small)[0].task()
    (images,), labels = task.prepare(task.take("test", torch.arange(40), task.test_draws()))
    scores = load(run.folder / "model.safetensors").eval()(images)
    assert result["error"] == pytest.approx((scores.argmax(1) != labels).float().mean().item())
    assert result["loss"] == pytest.approx(torch.nn.functional.cross_entropy(scores, labels).item(), abs=1e-5)


def test_the_same_seed_gives_the_same_run_and_another_seed_another(small, tmp_path):
    first, again, other = (fitted(small, tmp_path / str(i), seed=seed)[1] for i, seed in enumerate((1, 1, 2)))
    assert [without_time(row) for row in first.metrics] == [without_time(row) for row in again.metrics]
    assert all(value.equal(weights(again)[name]) for name, value in weights(first).items())
    assert first.metrics[-1]["train/loss"] != other.metrics[-1]["train/loss"]


def without_time(row):
    return {name: value for name, value in row.items() if name != "seconds"}


def test_a_run_that_has_ended_is_passed_over(small, tmp_path):
    result, run = fitted(small, tmp_path)
    (run.folder / "model.safetensors").unlink()  # it would come back if the run were trained again
    assert fitted(small, tmp_path)[0] == result
    assert not (run.folder / "model.safetensors").exists()


def test_a_folder_with_a_run_of_other_settings_is_refused_and_left_alone(small, tmp_path):
    _, run = fitted(small, tmp_path)
    before = (run.folder / "result.json").read_text()
    with pytest.raises(InputError, match=r"other settings: training.epochs was 4, is 5. Give another --out"):
        fitted(small, tmp_path, overrides={"training.epochs": 5})
    assert (run.folder / "result.json").read_text() == before


@pytest.mark.parametrize(("how", "model"), [(signal.SIGKILL, "warped"), (signal.SIGINT, "plain")])
def test_a_run_that_was_stopped_goes_on_to_the_same_result(small, tmp_path, how, model):
    whole = fitted(small, tmp_path / "whole", model, overrides={"training.epochs": 300})[1]
    words = command(small, tmp_path / "stopped", "--model", model, "--set", "training.epochs=300", "--no-progress")
    stopped = Run(tmp_path / "stopped" / "small" / model / "0")
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for _ in range(6000):
            if len(stopped.metrics) >= 2 or process.poll() is not None:
                break
            time.sleep(0.01)
        process.send_signal(how)
        said = "".join(process.communicate())
    assert process.returncode == (-how if how == signal.SIGKILL else 130), said
    assert 2 <= len(stopped.metrics) < 300
    assert stopped.result is None
    if how == signal.SIGINT:
        assert "The same command goes on" in said
    subprocess.run(words, check=True, capture_output=True)
    assert [without_time(row) for row in stopped.metrics] == [without_time(row) for row in whole.metrics]
    assert all(value.equal(weights(whole)[name]) for name, value in weights(stopped).items())
    assert stopped.result["error"] == whole.result["error"]


@pytest.mark.parametrize("content", [b"", b"PK no checkpoint", None])
def test_a_damaged_checkpoint_is_named(small, tmp_path, content):
    _, run = fitted(small, tmp_path)
    (run.folder / "result.json").unlink()
    file = run.folder / "last.ckpt"
    file.write_bytes(file.read_bytes()[:2000] if content is None else content)
    with pytest.raises(InputError, match=r"last.ckpt cannot be read .*: take it away to begin again"):
        fitted(small, tmp_path)


def test_the_checkpoint_of_another_model_is_refused(small, tmp_path):
    _, run = fitted(small, tmp_path)
    (run.folder / "result.json").unlink()
    shutil.copy(fitted(small, tmp_path, "warped")[1].folder / "last.ckpt", run.folder)
    with pytest.raises(InputError, match=r"last.ckpt holds the weights of another model"):
        fitted(small, tmp_path)


def test_a_run_that_is_older_than_an_option_is_passed_over_unless_the_option_is_asked_for(small, tmp_path):
    result, run = fitted(small, tmp_path)
    old = run.asked
    del old["data"]["smoothing"], old["training"]["drops"], old["weights"]
    run.write("run.json", old)
    assert fitted(small, tmp_path)[0] == result
    with pytest.raises(InputError, match=r"data\.smoothing was 0\.0, is 0\.1"):
        fitted(small, tmp_path, overrides={"data.smoothing": 0.1})


def test_a_training_that_diverges_is_told_and_not_kept(small, tmp_path):
    with pytest.raises(InputError, match=r"the loss of epoch \d is (nan|inf): try a smaller training\.rate"):
        fitted(small, tmp_path, overrides={"training.rate": 1e38})
    run = Run(tmp_path / "small" / "plain" / "0")
    assert run.result is None
    assert all(math.isfinite(row["train/loss"]) for row in run.metrics)


def test_a_run_that_another_process_trains_is_left_alone(small, tmp_path):
    with Run(tmp_path / "small" / "plain" / "0").held(), pytest.raises(InputError, match="trained by another process"):
        fitted(small, tmp_path)
    result, run = fitted(small, tmp_path)
    assert run.result == result


def test_a_folder_that_cannot_be_made_is_told(small, tmp_path):
    (tmp_path / "small").touch()
    with pytest.raises(InputError, match="plain/0 cannot be written: Not a directory"):
        fitted(small, tmp_path)


def test_a_folder_that_does_not_say_what_it_holds_is_refused(small, tmp_path):
    _, run = fitted(small, tmp_path)
    (run.folder / "run.json").unlink()
    with pytest.raises(InputError, match=r"holds last.ckpt, result.json, model.safetensors, but no run.json"):
        fitted(small, tmp_path)


def test_no_result_is_lost_for_what_is_timed_after_it(small, tmp_path, monkeypatch):
    def fail(*arguments):
        raise RuntimeError("no time")

    monkeypatch.setattr("warpkit.training.fit.step_shares", fail)
    with pytest.raises(RuntimeError, match="no time"):
        fitted(small, tmp_path)
    result, _ = fitted(small, tmp_path)
    assert result["epochs"] == 4


def test_a_penalty_for_all_leaves_a_model_without_transformers_as_it_is(small, tmp_path):
    first, priced = (
        fitted(small, tmp_path / name, overrides={"training.outside": price})[1]
        for name, price in (("first", 0.0), ("priced", 0.5))
    )
    assert [without_time(row) for row in first.metrics] == [without_time(row) for row in priced.metrics]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"precision": "64-true"}, "unknown precision '64-true'"),
        ({"accelerator": "foo"}, "this cannot be trained here: "),
        ({"strategy": "foo"}, "this cannot be trained here: "),
        ({"devices": 5}, "32 images cannot be shared by 5 devices evenly"),
    ],
)
def test_what_the_machine_cannot_do_is_told(small, tmp_path, how, said):
    with pytest.raises(InputError, match=said):
        Fitting(**{"accelerator": "cpu", "progress": False, **how})(plans(small)[0], 0, tmp_path)


def test_two_processes_give_what_one_gives(small, tmp_path):
    """Plain SGD, or Adam would make much of the rounding by which sums over two halves differ."""
    overrides = ["--set", "training.optimizer=sgd", "--set", "training.rate=0.05", "--model", "warped"]
    environment = {**os.environ, "MASTER_ADDR": "127.0.0.1"}
    for name, more in (("one", []), ("two", ["--devices", 2, "--strategy", "ddp"])):
        words = command(small, tmp_path / name, *overrides, *more)
        done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == 0, done.stderr
    one, two = (Run(tmp_path / name / "small" / "warped" / "0") for name in ("one", "two"))
    for row, other in zip(one.metrics, two.metrics, strict=True):
        assert other["train/loss"] == pytest.approx(row["train/loss"], rel=1e-3)
        assert other["train/error"] == pytest.approx(row["train/error"], abs=0.02)
    assert two.result["error"] == pytest.approx(one.result["error"], abs=0.051)
    for name, value in weights(one).items():
        torch.testing.assert_close(weights(two)[name], value, rtol=1e-2, atol=1e-3)


def test_a_batch_that_cannot_be_shared_or_filled_is_told(small, tmp_path):
    with pytest.raises(InputError, match=r"models\.plain: training\.batch: 97 is more than the 96 images"):
        fitted(small, tmp_path, overrides={"training.batch": 97})


def test_a_gradient_is_clipped(small, tmp_path):
    """By plain descent, twelve steps of at most 0.01 · 1e-6 with a momentum of 0.9 move nothing."""
    (plan,) = plans(small, ["plain"])
    still = {"training.optimizer": "sgd", "training.schedule": "constant", "training.clip": 1e-6}
    kept = weights(fitted(small, tmp_path, overrides=still)[1])
    for name, value in plan.build(0).state_dict().items():
        torch.testing.assert_close(kept[name], value, rtol=0, atol=1e-6)


def test_what_is_written_is_json_anyone_can_read(small, tmp_path):
    _, run = fitted(small, tmp_path)
    for name in ("run.json", "result.json"):
        assert json.loads((run.folder / name).read_text())
