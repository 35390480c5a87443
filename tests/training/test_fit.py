import json
import math
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from warpkit.errors import InputError
from warpkit.spec.files import load
from warpkit.training.checkpoints import find_checkpoint
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


STOPPED = """
import os, sys
from warpkit.cli import main
from warpkit.training.learner import Learner

how, step, *words = sys.argv[1:]
learn = Learner.training_step

def training_step(self, batch, index):
    if self.global_step == int(step):
        os.kill(os.getpid(), int(how))
    return learn(self, batch, index)

Learner.training_step = training_step
sys.argv[1:] = words
main()
"""


@pytest.mark.parametrize(("how", "model"), [(signal.SIGKILL, "warped"), (signal.SIGINT, "plain")])
def test_a_run_that_was_stopped_goes_on_to_the_same_result(small, tmp_path, whole, how, model):
    """By its own hand in the second of the three steps of epoch 3: neither machine nor luck has a say in it."""
    other = Run(whole) if model == "warped" else fitted(small, tmp_path / "whole", model)[1]
    words = [how.value, 7, *command(small, tmp_path / "stopped", "--model", model, "--no-progress")[1:]]
    done = subprocess.run(
        [sys.executable, "-c", STOPPED, *map(str, words)], capture_output=True, text=True, check=False
    )
    assert done.returncode == (-how if how == signal.SIGKILL else 130), done.stderr
    assert ("The same command goes on" in done.stdout) == (how == signal.SIGINT)
    stopped = Run(tmp_path / "stopped" / "small" / model / "0")
    assert [row["epoch"] for row in stopped.metrics] == [1, 2]
    assert stopped.result is None
    fitted(small, tmp_path / "stopped", model)
    check_same_run(stopped, other)


def check_same_run(run, whole):
    assert [without_time(row) for row in run.metrics] == [without_time(row) for row in whole.metrics]
    assert all(value.equal(weights(whole)[name]) for name, value in weights(run).items())
    assert run.result["error"] == whole.result["error"]
    assert "shares" in run.result


@pytest.fixture
def not_ended(tmp_path, whole) -> Run:
    """A run that has come to its last checkpoint and no further."""
    folder = shutil.copytree(whole, tmp_path / "small" / "warped" / "0")
    (folder / "result.json").unlink()
    return Run(folder)


def flip(file: Path, share: float) -> None:
    content = bytearray(file.read_bytes())
    content[int(share * len(content))] ^= 16
    file.write_bytes(content)


@pytest.mark.parametrize("harm", [lambda f: flip(f, 0.5), lambda f: f.write_bytes(f.read_bytes()[:2000]), Path.unlink])
def test_a_damaged_checkpoint_is_noticed_and_the_one_before_serves(small, tmp_path, whole, not_ended, harm, capsys):
    harm(not_ended.folder / "last.ckpt")
    fitted(small, tmp_path, "warped")
    assert "last.ckpt" in (said := capsys.readouterr().err)
    assert "the run goes on from the checkpoint before, after epoch 3" in said
    check_same_run(not_ended, Run(whole))


@pytest.mark.parametrize("content", [b"", b"PK no checkpoint", None])
def test_damaged_checkpoints_are_named(small, tmp_path, not_ended, content):
    for name in ("last.ckpt", "before.ckpt"):
        file = not_ended.folder / name
        file.write_bytes(file.read_bytes()[:2000] if content is None else content)
    with pytest.raises(InputError, match=r"last.ckpt cannot be read .*before.ckpt cannot be read .*: take them away"):
        fitted(small, tmp_path, "warped")


def test_a_bit_that_is_wrong_is_noticed_or_changes_nothing(not_ended):
    (not_ended.folder / "before.ckpt").unlink()
    file = not_ended.folder / "last.ckpt"
    content, held = file.read_bytes(), flat(torch.load(file, weights_only=True))
    wanted = torch.load(file, weights_only=True)["state_dict"]
    noticed = 0
    for at in np.random.default_rng(0).integers(0, len(content), 60):
        file.write_bytes(content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :])
        try:
            find_checkpoint(not_ended, wanted)
        except InputError:
            noticed += 1
        else:  # between the parts of the archive
            assert flat(torch.load(file, weights_only=True)) == held
    assert noticed > 30


def flat(held):
    if isinstance(held, dict):
        return {name: flat(value) for name, value in held.items()}
    return [flat(value) for value in held] if isinstance(held, list | tuple) else str(held)


@pytest.mark.parametrize(
    ("lose", "said"),
    [
        (lambda held: [], r"it lacks epoch, global_step, .*take it away to begin again"),
        (lambda held: held.pop("state_dict"), "it lacks state_dict"),
        (lambda held: held.pop("loops"), "it lacks loops"),
        (lambda held: held["callbacks"].pop("Keeper"), "it lacks rows"),
        (lambda held: held["callbacks"]["Keeper"].pop("watch"), r"does not hold all of a run \(KeyError: 'watch'\)"),
        (lambda held: held["loops"]["fit_loop"].pop("epoch_progress"), "does not hold all of a run"),
        (lambda held: held["loops"]["fit_loop"].clear(), "does not hold all of a run"),
        (lambda held: held["optimizer_states"].clear(), "does not hold all of a run"),
        (lambda held: held["lr_schedulers"].clear(), "does not hold all of a run"),
    ],
)
def test_a_checkpoint_that_lacks_something_is_told(small, tmp_path, not_ended, lose, said):
    file = not_ended.folder / "last.ckpt"
    held = torch.load(not_ended.folder / "before.ckpt", weights_only=True)  # an epoch is left to be trained
    torch.save(held if lose(held) != [] else [], file)
    with pytest.raises(InputError, match=rf"last\.ckpt .*{said}"):
        fitted(small, tmp_path, "warped")


@pytest.mark.parametrize("lost", [["metrics.csv", "model.safetensors"], ["tensorboard"]])
def test_a_run_that_was_stopped_after_its_last_epoch_gets_its_result(small, tmp_path, whole, not_ended, lost):
    for name in lost:
        shutil.move(not_ended.folder / name, tmp_path)
    fitted(small, tmp_path, "warped")
    check_same_run(not_ended, Run(whole))


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


def test_no_result_is_lost_for_what_is_timed_after_it_and_that_is_made_up_for(small, tmp_path, monkeypatch):
    def fail(*arguments):
        raise RuntimeError("no time")

    with monkeypatch.context() as patch:
        patch.setattr("warpkit.training.fit.step_shares", fail)
        with pytest.raises(RuntimeError, match="no time"):
            fitted(small, tmp_path)
    first = Run(tmp_path / "small" / "plain" / "0").result
    assert first["epochs"] == 4
    assert "shares" not in first
    monkeypatch.setattr("warpkit.training.fit.Trainer.fit", fail)  # nothing is trained again
    result, run = fitted(small, tmp_path)
    assert set(result["shares"]) == {"distorting"}
    assert run.result == result
    assert {**result, **first} == result


@pytest.mark.parametrize("result", ['{"error": "none"}', '{"error": NaN}', "{}"])
def test_a_result_that_does_not_say_the_error_is_told(small, tmp_path, result):
    _, run = fitted(small, tmp_path)
    (run.folder / "result.json").write_text(result)
    with pytest.raises(InputError, match=r"result\.json does not say the error"):
        fitted(small, tmp_path)


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
    changes = {"training.optimizer": "sgd", "training.rate": 0.05}
    overrides = [word for name, value in changes.items() for word in ("--set", f"{name}={value}")]
    environment = {**os.environ, "MASTER_ADDR": "127.0.0.1"}
    words = command(small, tmp_path / "two", *overrides, "--model", "warped", "--devices", 2, "--strategy", "ddp")
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    one = fitted(small, tmp_path / "one", "warped", overrides=changes)[1]
    two = Run(tmp_path / "two" / "small" / "warped" / "0")
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
