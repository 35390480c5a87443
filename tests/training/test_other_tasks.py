"""Tasks beyond the classification of distorted digits."""

import json

import pytest
import torch
from cub_files import write_cub
from mnist import write_idx
from svhn_files import write_svhn
from torch import Generator
from torch.testing import assert_close

import warpkit as wk
from warpkit.errors import InputError
from warpkit.modules.resnet import ResNet
from warpkit.training.evaluate import evaluate
from warpkit.training.experiment import examples, plans, read_task
from warpkit.training.fit import Fitting
from warpkit.training.runs import Run, find_runs
from warpkit.training.tasks.base import Batch


def batch(made, count=6, half="train") -> Batch:
    return made.prepare(made.take(half, torch.arange(count), made.draw(count, Generator().manual_seed(0))))


def test_addition_asks_for_the_sum_of_both_channels_digits(mnist):
    made = read_task({"type": "addition", "folder": str(mnist)})
    assert made.shapes == {"input": [2, 42, 42]}
    assert made.classes == 19
    drawn = made.draw(96, Generator().manual_seed(0))
    raw = made.take("train", torch.arange(96), drawn)
    train = made.halves["train"]
    for image, wanted in zip(raw.images, raw.targets, strict=True):
        each = [int(train.labels[(train.images[:, 0] == channel).all((1, 2)).nonzero()[0]]) for channel in image]
        assert sum(each) == wanted


def test_volumes_hold_a_digit_each(mnist):
    made = read_task({"type": "volumes", "folder": str(mnist), "depth": 10, "scale": [0.8, 1.2], "turn": 20.0})
    assert made.shapes == {"input": [1, 60, 60, 60]}
    (volumes,), labels = batch(made)
    assert volumes.shape == (6, 1, 60, 60, 60)
    assert labels.equal(torch.arange(6))
    assert (volumes.amax((1, 2, 3, 4)) > 0.5).all()


class Fixed(torch.nn.Module):
    """Moves the first image by one θ for all, whatever it sees."""

    def __init__(self, theta, **options):
        super().__init__()
        self.transformer = wk.SpatialTransformer(wk.DenseLocalization([4]), init=theta, **options)

    def forward(self, image, *others):
        return self.transformer(image)


def test_a_registration_that_does_nothing_leaves_all_of_the_distance_and_the_right_one_none(mnist):
    made = read_task({"type": "registration", "folder": str(mnist)})
    assert made.shapes == {"inputs": {"moving": [1, 28, 28], "fixed": [1, 28, 28]}}
    several = batch(made)
    loss, errors = made.step(Fixed([1.0, 0, 0, 0, 1, 0]), several)
    assert errors.mean().item() == pytest.approx(1, abs=1e-5)
    one = batch(made, count=1)
    undo = wk.get_transform("affine").inverse(one.targets.double())[0].tolist()
    after, error = made.step(Fixed(undo), one)
    assert error.item() == pytest.approx(0, abs=1e-5)
    assert after < loss / 4


def test_half_a_way_back_is_half_of_the_error(mnist):
    made = read_task({"type": "registration", "folder": str(mnist), "turn": 0.0, "scale": 1.0})
    one = batch(made, count=1)
    shift = one.targets[0, [2, 5]]
    _, error = made.step(Fixed([1.0, 0, -shift[0].item() / 2, 0, 1, -shift[1].item() / 2]), one)
    assert error.item() == pytest.approx(0.5, abs=1e-5)


@pytest.fixture
def encoder(tmp_path, mnist):
    layers = ["Flatten", {"type": "Linear", "out_features": 16}, "ReLU", {"type": "Linear", "out_features": 10}]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        wk.save(wk.build({"version": 1, "input": [1, 28, 28], "layers": layers}), tmp_path / "encoder.safetensors")
    return {
        "type": "colocalisation",
        "encoder": str(tmp_path / "encoder.safetensors"),
        "folder": str(mnist),
        "count": 8,
        "rounds": 3,
    }


def window(x: float, y: float) -> Fixed:
    return Fixed([x, y], transform={"type": "attention", "scale": 1 / 3}, size=[28, 28])


def test_a_window_on_the_digit_has_found_it_and_another_has_not(encoder):
    made = read_task(encoder)
    assert (made.train_images, made.test_images, made.shapes) == (24, 8, {"input": [1, 84, 84]})
    for index in range(4):
        one = made.prepare(made.take("test", torch.tensor([index, index]), torch.zeros(2, 2)))
        left, top = one.targets[0, :2].tolist()
        x, y = (left + 14) / 42 - 1, (top + 14) / 42 - 1
        assert made.step(window(x, y), one)[1].tolist() == [0, 0]
        assert made.step(window(x + (0.5 if x < 0 else -0.5), y), one)[1].tolist() == [1, 1]


def test_the_inner_part_of_a_larger_window_is_what_counts(encoder):
    larger = {"transform": {"type": "attention", "scale": 0.5}, "size": [28, 28]}
    whole, inner = (read_task({**encoder, "inner": part}) for part in (1.0, 2 / 3))
    one = whole.prepare(whole.take("test", torch.tensor([0, 0]), torch.zeros(2, 2)))
    x, y = ((one.targets[0, :2] + 14) / 42 - 1).tolist()
    assert whole.step(Fixed([x, y], **larger), one)[1].tolist() == [1, 1]  # 28² of 42² pixels
    assert inner.step(Fixed([x, y], **larger), one)[1].tolist() == [0, 0]
    assert inner.step(Fixed([x + (0.5 if x < 0 else -0.5), y], **larger), one)[1].tolist() == [1, 1]


def test_crops_at_random_are_as_large_as_the_option_says(encoder):
    """Of the whole canvas, they are the same wherever they lie."""
    made = read_task({**encoder, "window": 84})
    model, indices = window(0.1, -0.2), torch.arange(4)
    losses = [
        made.step(model, made.prepare(made.take("train", indices, torch.full((4, 2), at))))[0] for at in (-1.0, 1.0)
    ]
    assert_close(losses[0], losses[1])


def test_a_missing_encoder_is_told_with_what_makes_one(encoder):
    with pytest.raises(InputError, match=r"data\.encoder: no such file: none\.safetensors \(`warpkit train encoder`"):
        read_task({**encoder, "encoder": "none.safetensors"})


def test_an_encoder_of_other_images_and_a_batch_of_one_are_refused(tmp_path, encoder):
    layers = ["Flatten", {"type": "Linear", "out_features": 16}, "ReLU", {"type": "Linear", "out_features": 10}]
    wk.save(wk.build({"version": 1, "input": [3, 28, 28], "layers": layers}), tmp_path / "other.safetensors")
    with pytest.raises(InputError, match=r"data\.encoder: .*other\.safetensors takes no 28 × 28 digits"):
        read_task({**encoder, "encoder": str(tmp_path / "other.safetensors")})
    changes = {f"data.{key}": encoder[key] for key in ("encoder", "folder", "count")}
    with pytest.raises(InputError, match=r"training\.batch: 1 is too few for this task, which compares images"):
        plans("colocalise_translated", None, {**changes, "training.batch": 1})


def test_the_hinge_is_the_paper_s(encoder):
    """A loop over pairs, as the equation has it, with features of length 1."""
    made = read_task(encoder)
    drawn = made.draw(4, Generator().manual_seed(1))
    several = made.prepare(made.take("train", torch.arange(4), drawn))
    model = window(0.1, -0.2)
    loss, _ = made.step(model, several)
    e = torch.nn.functional.normalize(made.encoder(model(several.inputs[0])))
    lone = (wk.warp(several.inputs[0][i : i + 1], "attention", torch.tensor([[1 / 3, *(drawn[i] * 2 / 3).tolist()]]),
                    size=(28, 28)) for i in range(4))  # fmt: skip
    random = torch.nn.functional.normalize(torch.cat([made.encoder(crop) for crop in lone]))
    terms = [
        (1 + (e[n] - e[m]).square().sum() - (e[n] - random[n]).square().sum()).clamp(min=0)
        for n in range(4)
        for m in range(4)
        if n != m
    ]
    assert_close(loss, torch.stack(terms).mean())


def test_the_encoder_does_not_learn_and_the_transformer_does(encoder):
    made, model = read_task(encoder), window(0.0, 0.0)
    loss, _ = made.step(model, batch(made))
    loss.backward()
    assert all(p.grad is None for p in made.encoder.parameters())
    assert model.transformer.regression.bias.grad.abs().sum() > 0


def test_a_model_without_a_transformer_cannot_find_anything(encoder):
    made = read_task(encoder)
    with pytest.raises(InputError, match="needs a model with a spatial transformer"):
        made.step(torch.nn.AvgPool2d(3), batch(made))


@pytest.mark.parametrize("name", ["addition", "registration", "hands", "volumes", "encoder"])
def test_the_experiments_that_come_with_warpkit_can_be_trained(name, mnist):
    assert plans(name, None, {"data.folder": str(mnist), "training.batch": 8})


@pytest.mark.parametrize("name", ["colocalise_translated", "colocalise_cluttered"])
def test_co_localisation_can_be_trained_with_an_encoder(name, mnist, encoder):
    changes = {f"data.{key}": encoder[key] for key in ("encoder", "folder", "count")}
    assert plans(name, None, {**changes, "training.batch": 8})


def trained(spec: str, tmp_path) -> Run:
    """One epoch of a file, whole: trained, tested, timed and kept."""
    (tmp_path / "file.toml").write_text(spec)
    (plan,) = plans(tmp_path / "file.toml")
    result = Fitting(accelerator="cpu", progress=False)(plan, 0, tmp_path / "runs")
    (run,) = find_runs([tmp_path / "runs"])
    assert run.result == result
    assert evaluate(run)["error"] == pytest.approx(result["error"], abs=1e-5)
    return run


FILE = """
version = 1
title = "A moment"
training = {{ epochs = 1, batch = {batch} }}
data = {{ {data} }}
models.one.spec = {{ layers = [{layers}] }}
"""
TRANSFORMER = '{ type = "spatial_transformer", localization = { type = "dense_localization", hidden = [4] }'


def test_a_network_of_two_images_is_trained_to_its_end(tmp_path, mnist):
    """Its localization network sees both, and is timed with both."""
    layers = TRANSFORMER + ', theta_from = ["warped", "fixed"] }'
    run = trained(FILE.format(batch=32, data=f'type = "registration", folder = "{mnist}"', layers=layers), tmp_path)
    assert set(run.result["shares"]) == {"distorting", "localization", "sampling"}


def test_co_localisation_is_trained_to_its_end(tmp_path, encoder):
    data = ", ".join(f"{key} = {json.dumps(value)}" for key, value in encoder.items())
    window = '{ type = "attention", scale = 0.3333 }, init = [0.0, 0.0], size = [28, 28] }'
    run = trained(FILE.format(batch=4, data=data, layers=f"{TRANSFORMER}, transform = {window}"), tmp_path)
    assert run.result["tested_on"] == "8 images of the digit 2, among clutter, those that it learns from"
    assert len(examples(run)[0]) == 8
    other = wk.build({"version": 1, "input": [1, 28, 28], "layers": ["Flatten", {"type": "Linear", "out_features": 9}]})
    wk.save(other, encoder["encoder"])
    with pytest.raises(InputError, match=r"run with other settings: weights\.data\.encoder was"):
        trained(FILE.format(batch=4, data=data, layers=f"{TRANSFORMER}, transform = {window}"), tmp_path)


def test_house_numbers_are_read_from_their_files_and_trained(tmp_path):
    for split in ("train", "test"):
        write_svhn(tmp_path, split)
    data = f'type = "house_numbers", folder = "{tmp_path}", extra = false, size = 16'
    heads = (
        '"Flatten", { type = "Linear", out_features = 55 }, { type = "Unflatten", dim = 1, unflattened_size = [11, 5] }'
    )
    run = trained(FILE.format(batch=3, data=data, layers=f"{TRANSFORMER} }}, {heads}"), tmp_path)
    assert run.result["tested_on"] == f"3 numbers of {tmp_path.name}, the test split"


def test_the_paper_s_networks_for_house_numbers_read_five_places(tmp_path, tried):
    for split in ("train", "test"):
        write_svhn(tmp_path, split)
    plans("house_numbers", overrides={"data.folder": str(tmp_path), "data.extra": False, "training.batch": 2})
    count = {name: sum(isinstance(m, wk.SpatialTransformer) for m in net.modules()) for name, net in tried.items()}
    assert count == {"cnn": 0, "st_cnn_single": 1, "st_cnn_multi": 4}
    widths = [48, 64, 128, 160, 192, 192, 192, 192, 3072, 3072, 3072, 55]
    for net in tried.values():
        layers = [m for m in net if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
        assert [len(m.weight) for m in layers] == widths
        assert net.eval()(torch.randn(2, 3, 64, 64)).shape == (2, 11, 5)


def test_a_number_is_wrong_where_one_of_its_places_is(tmp_path):
    for split in ("train", "test"):
        write_svhn(tmp_path, split)
    made = read_task({"type": "house_numbers", "folder": str(tmp_path), "extra": False, "size": 16})
    several = made.prepare(made.take("train", torch.arange(3), torch.empty(3, 0)))
    scores = 9 * torch.nn.functional.one_hot(several.targets, 11).mT.float()
    scores[1, :, 4] = scores[1, :, 4].roll(1)

    class Says(torch.nn.Module):
        def forward(self, images):
            return scores

    loss, errors = made.step(Says(), several)
    assert errors.tolist() == [0, 1, 0]
    each = [torch.nn.functional.cross_entropy(scores[:, :, place], several.targets[:, place]) for place in range(5)]
    assert_close(loss, torch.stack(each).sum())


def test_birds_are_read_from_their_files_and_trained(tmp_path):
    write_cub(tmp_path)
    data = f'type = "birds", folder = "{tmp_path}", size = 16, short = 20'
    two = '{ type = "AvgPool2d", kernel_size = 4 }, "Flatten", { type = "Linear", out_features = 2 }'
    run = trained(FILE.format(batch=2, data=data, layers=f"{TRANSFORMER} }}, {two}"), tmp_path)
    assert run.result["tested_on"] == f"1 images of {tmp_path.name}, the test split"


def test_the_paper_s_networks_for_birds_take_a_backbone_s_weights(tmp_path, tried):
    write_cub(tmp_path)
    torch.manual_seed(1)
    weights = wk.build({"version": 1, "input": [3, 64, 64], "layers": [{"type": "resnet", "depth": 50}]})[0]
    torch.save(weights.state_dict(), tmp_path / "resnet50.pth")
    asked = {"data.folder": str(tmp_path), "data.size": 64, "training.batch": 2}
    asked |= {f"models.{name}.set": {"layers.2.out_features": 2} for name in ("cnn", "two", "four")}
    backbone = {"training.backbone": str(tmp_path / "resnet50.pth")}
    counts = {}
    plans("birds", overrides={**asked, **backbone})
    for name, net in tried.items():
        counts[name] = sum(isinstance(m, ResNet) for m in net.modules())
        assert all(m.conv1.weight.equal(weights.conv1.weight) for m in net.modules() if isinstance(m, ResNet))
        windows = [m for m in net.modules() if isinstance(m, wk.SpatialTransformer)]
        assert all(m.transform.scale == 0.5 and m.size == (224, 224) for m in windows)
        assert len({id(m.localization) for m in windows}) == min(1, len(windows))
        assert len({tuple(m.init.tolist()) for m in windows}) == len(windows) == max(0, counts[name] - 1)
    assert counts == {"cnn": 1, "two": 3, "four": 5}
    with pytest.raises(InputError, match="no resnet in this model"):
        plans("r", ["cnn"], backbone)
    with pytest.raises(InputError, match=r"models\.cnn: weights: no such file"):
        plans("birds", ["cnn"], {**asked, "training.backbone": "none.pth"})


def test_birds_lie_anywhere_while_they_are_learnt_and_in_the_middle_when_tested(tmp_path):
    write_cub(tmp_path)
    made = read_task(
        {"type": "birds", "folder": str(tmp_path), "size": 16, "short": 20, "mean": [0, 0, 0], "std": [1, 1, 1]}
    )
    train = made.halves["train"]
    drawn = torch.tensor([[0.0, 0.0, 0.2], [0.0, 0.0, 0.8]])
    (images,), labels = made.prepare(made.take("train", torch.tensor([0, 0]), drawn))
    corner = train.crop(0, (0.0, 0.0)).image / 255
    assert_close(images[0], corner)
    assert_close(images[1], corner.flip(2))
    assert labels.tolist() == [0, 0]
    (image,), _ = made.prepare(made.take("test", torch.tensor([0]), made.test_draws()))
    assert_close(image[0], made.halves["test"][0].image / 255)


def hands(mnist, **options):
    return read_task({"type": "hands", "folder": str(mnist), **options})


def test_a_digit_meets_each_other_one_of_its_class_and_never_itself(mnist):
    made = hands(mnist)
    images, labels = made.halves["test"]
    drawn = torch.rand(40 * 30, 1, generator=Generator().manual_seed(0))
    drawn[:40], drawn[40:80] = 0, 1 - 2**-24  # both ends
    raw = made.take("test", torch.arange(len(drawn)), drawn)
    met = [
        (index % 40, int((images[:, 0] == fixed).all((1, 2)).nonzero()[0]))
        for index, (_, fixed) in enumerate(raw.images)
    ]
    assert set(met) == {(a, b) for a in range(40) for b in range(40) if a != b and labels[a] == labels[b]}
    assert raw.images[:, 0].equal(images[torch.arange(len(drawn)) % 40, 0])


def test_hands_that_stay_have_all_of_the_error_and_are_not_bent(mnist):
    made = hands(mnist, bending=5.0)
    several = batch(made)
    moving, fixed = several.inputs
    loss, errors = made.step(Fixed([1.0, 0, 0, 0, 1, 0]), several)
    assert_close(loss, (moving - fixed).square().mean())
    every = made.prepare(made.take("test", torch.arange(40), made.test_draws()))
    before = (every.inputs[0] - every.inputs[1]).square().mean()
    assert_close(errors, (moving - fixed).square().mean((1, 2, 3)) / before)
    assert made.step(Fixed([1.0, 0, 0, 0, 1, 0]), every)[1].mean().item() == pytest.approx(1, abs=1e-5)
    measured = made.measures(Fixed([1.0, 0, 0, 0, 1, 0]), several)
    inked = (
        [(image[0] >= 0.5).nonzero().tolist() for image in moving],
        [(i[0] >= 0.5).nonzero().tolist() for i in fixed],
    )
    wanted = [2 * sum(p in b for p in a) / (len(a) + len(b)) for a, b in zip(*inked, strict=True)]
    assert_close(measured["overlap before"], torch.tensor(wanted))
    assert measured["overlap after"].equal(measured["overlap before"])
    assert measured["folds"].tolist() == [0] * 6


def test_hands_pay_for_what_bends_and_are_told_what_folds(mnist):
    made = hands(mnist, bending=5.0)
    several = batch(made, count=1)
    spline = wk.get_transform("thin_plate_spline", grid=(3, 3))
    theta = spline.identity()[None].clone()
    theta[0, 8] += 2.5  # the point in the middle, over the one beside it
    model = Fixed(theta[0].tolist(), transform=spline)
    loss, _ = made.step(model, several)
    left = (model(several.inputs[0]) - several.inputs[1]).square().mean()
    assert_close(loss, left + 5 * wk.losses.bending(spline, theta, (28, 28))[0])
    assert made.measures(model, several)["folds"].item() == wk.losses.folding(spline, theta, (28, 28)).item() > 0


def test_a_class_of_one_makes_no_pair(tmp_path):
    write_idx(tmp_path, "train", 20)
    write_idx(tmp_path, "t10k", 11)
    with pytest.raises(InputError, match=r"digits to test with: .* but one"):
        hands(tmp_path)


def test_hands_are_trained_to_their_end_with_what_is_measured_besides(tmp_path, mnist):
    layers = TRANSFORMER + ', theta_from = ["warped", "fixed"] }'
    run = trained(FILE.format(batch=32, data=f'type = "hands", folder = "{mnist}"', layers=layers), tmp_path)
    assert list(run.result["measured"]) == ["overlap before", "overlap after", "folds"]
    assert evaluate(run)["measured"] == pytest.approx(run.result["measured"], abs=1e-5)


@pytest.mark.parametrize("kind", ["hands", "registration"])
def test_a_network_of_one_image_and_an_output_of_another_size_are_told(kind, mnist):
    made = read_task({"type": kind, "folder": str(mnist)})
    one = wk.build(
        {
            "version": 1,
            "input": [1, 28, 28],
            "layers": [{"type": "spatial_transformer", "localization": "dense_localization"}],
        }
    )
    with pytest.raises(InputError, match=r"needs a network of two images.*inputs = \{ moving"):
        made.step(one, batch(made))
    with pytest.raises(
        InputError, match=r"the model's output: expected an image as fixed, \[6, 1, 28, 28\], got \[6, 1, 14"
    ):
        made.step(Fixed([1.0, 0, 0, 0, 1, 0], size=[14, 14]), batch(made))
