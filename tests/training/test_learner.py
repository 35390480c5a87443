import pytest
import torch

from warpkit.training.experiment import plans
from warpkit.training.learner import Learner


@pytest.fixture
def learner(small):
    """Of the model with a transformer, as it would be trained: 4 epochs of 3 steps at 0.01."""

    def make(**training):
        (plan,) = plans(small, ["warped"], {f"training.{name}": value for name, value in training.items()})
        return Learner(plan.build(0), plan.task(), plan.training, 0)

    return make


def rates(learner) -> list[float]:
    """Of the classifier, before each of the 12 steps and after the last."""
    made = learner.configure_optimizers()
    optimizer, schedule = (
        (made["optimizer"], made["lr_scheduler"]["scheduler"]) if isinstance(made, dict) else (made, None)
    )
    (rest,) = (group for group in optimizer.param_groups if group["name"] == "rest")
    seen = [rest["lr"]]
    for _ in range(12):
        optimizer.step()
        if schedule is not None and len(seen) < 12:
            schedule.step()
        seen.append(rest["lr"])
    return seen


def test_one_cycle_climbs_to_the_rate_and_falls_to_nothing(learner):
    seen = rates(learner(schedule="one_cycle"))
    assert max(seen) == pytest.approx(0.01, rel=0.01)
    assert seen[0] < 0.001
    assert seen[-1] < 1e-6


def test_cosine_falls_from_the_rate_to_nearly_nothing(learner):
    seen = rates(learner(schedule="cosine"))
    assert seen[0] == 0.01
    assert seen[6] == pytest.approx(0.005)
    assert seen[11] < 0.0003


def test_steps_are_a_tenth_after_each_third(learner):
    seen = rates(learner(schedule="steps"))
    assert [seen[i] for i in (0, 3, 4, 7, 8, 11)] == pytest.approx([0.01, 0.01, 0.001, 0.001, 0.0001, 0.0001])


def test_steps_may_be_more(learner):
    seen = rates(learner(schedule="steps", drops=3))
    assert [seen[i] for i in (0, 2, 3, 6, 9)] == pytest.approx([0.01, 0.01, 0.001, 1e-4, 1e-5])


def test_a_constant_rate_stays(learner):
    assert set(rates(learner(schedule="constant"))) == {0.01}


@pytest.mark.parametrize(("name", "kind"), [("adam", torch.optim.AdamW), ("sgd", torch.optim.SGD)])
def test_localization_networks_get_their_part_of_the_rate(learner, name, kind):
    optimizer = learner(optimizer=name, schedule="constant", localization=0.1, weight_decay=0.2).configure_optimizers()
    assert type(optimizer) is kind
    assert {group["name"]: group["lr"] for group in optimizer.param_groups} == {"localization": 0.001, "rest": 0.01}
    assert all(group["weight_decay"] == 0.2 for group in optimizer.param_groups)


def test_a_penalty_is_part_of_the_loss(learner):
    plain, priced = learner(), learner(outside=3.0)
    batch = plain.task.prepare(plain.task.take("train", torch.arange(8), torch.zeros(8, 1)))
    losses = []
    for one in (plain, priced):
        one.log = lambda *arguments, **more: None
        transformer = one.model[0]
        transformer.init += torch.tensor([0.0, 0, 1, 0, 0, 0])  # half of it lies outside
        losses.append(one.training_step(batch, 0).item())
    assert losses[1] > losses[0] + 0.1
