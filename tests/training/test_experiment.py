import shlex

import pytest
import torch

from warpkit.cli.values import parse_options
from warpkit.errors import InputError
from warpkit.modules.spatial_transformer import SpatialTransformer
from warpkit.training.experiment import examples, plans
from warpkit.training.runs import Run

TRANSFORMS = ("affine", "projective", "tps")


@pytest.mark.parametrize("name", ["r", "rts", "p", "e", "tc"])
def test_the_paper_s_models_are_in_each_and_have_about_as_many_parameters(name, tried):
    made = {plan.model: plan for plan in plans(name)}
    assert set(made) == {"cnn", "fcn"} | {f"st_{c}_{t}" for c in ("cnn", "fcn") for t in TRANSFORMS}
    parameters = {model: sum(p.numel() for p in network.parameters()) for model, network in tried.items()}
    for classifier in ("cnn", "fcn"):
        plain = parameters[classifier]
        for kind in TRANSFORMS:
            model = f"st_{classifier}_{kind}"
            assert made[model].entry.beside == classifier
            assert parameters[model] == pytest.approx(plain, rel=0.1)
            (transformer,) = (m for m in tried[model].modules() if isinstance(m, SpatialTransformer))
            assert type(transformer.transform).__name__.lower().startswith(kind[0] if kind != "tps" else "thin")


def test_the_seed_decides_the_first_weights_and_nothing_else_is_touched(small):
    plan = plans(small)[0]
    before = torch.random.get_rng_state()
    first, again, other = (next(iter(plan.build(seed).parameters())) for seed in (1, 1, 2))
    assert first.equal(again)
    assert not first.equal(other)
    assert torch.random.get_rng_state().equal(before)


def test_models_are_chosen_and_values_set_by_path(small):
    (plan,) = plans(
        small, ["warped"], {"training.epochs": 7, "models.warped.set": {"layers.0.transform": "projective"}}
    )
    assert plan.training.epochs == 7
    assert plan.spec["layers"][0]["transform"] == "projective"
    assert plan.spec["input"] == [1, 28, 28]


def test_a_plan_knows_the_line_that_trains_it():
    (plan,) = plans("r", ["cnn"], {"training.epochs": 7, "models.cnn.set": {"layers.0.out_channels": 8}})
    words = shlex.split(plan.command(3))
    assert words[:7] == ["warpkit", "train", "r", "--model", "cnn", "--seed", "3"]
    (again,) = plans("r", ["cnn"], parse_options("--set", words[8::2]))
    assert again == plan


@pytest.mark.parametrize("name", ["../x", "/x", ".", "..", "", "a/b", "x" * 101])
def test_a_model_s_name_is_no_path(small, name):
    text = small.read_text().replace("[models.plain]", f"[models.{name!r}]").replace('beside = "plain"', "")
    small.write_text(text)
    with pytest.raises(InputError, match="experiment: models"):
        plans(small)


def test_what_is_set_for_all_is_set_for_a_model_with_training_of_its_own():
    (plan,) = plans("r", ["fcn"], {"training.epochs": 3})
    assert plan.training.epochs == 3
    assert plan.training.rate == 0.002


def test_the_paper_s_figures_belong_to_the_paper_s_data(mnist):
    assert plans("r", ["cnn"])[0].entry.paper == 1.2
    assert plans("r", ["cnn"], {"data.test_folder": str(mnist)})[0].entry.paper == 1.2
    assert plans("r", ["cnn"], {"data.distortion": "e"})[0].entry.paper is None


def test_a_spec_may_lie_in_a_file_beside_the_experiment_s(small):
    (small.parent / "net.toml").write_text('layers = ["Flatten", { type = "Linear", out_features = 10 }]')
    (plan,) = plans(small, ["plain"], {"models.plain.spec": "net.toml"})
    assert plan.build(0)(torch.rand(2, 1, 28, 28)).shape == (2, 10)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("training.epochs", 0, "training.epochs: input should be greater than or equal to 1, got 0"),
        ("training.rat", 1, "training.rat: unknown option 'rat'. Did you mean 'rate'"),
        ("training.optimizer", "adm", "training.optimizer: input should be 'adam' or 'sgd', got 'adm'"),
        ("data.distortion", "rst", "unknown distortion 'rst'. Did you mean 'rts'"),
        ("data.type", "digit", "data.type: unknown kind of data 'digit'. Did you mean 'digits'"),
        ("data.folder", "nowhere", "'nowhere' is no folder"),
        ("training.epochs", True, "training.epochs: input should be a valid integer, got True"),
        ("models.warped.beside", "warped", "models.warped.beside: unknown other model 'warped'"),
        ("models.new.spec", "cnn", "override models.new: unknown model 'new'"),
        ("models.warped.training", {"batch": 97}, "models.warped: training.batch: 97 is more than the 96 images"),
        (
            "models.warped.set",
            {"layers.3.out_features": 5},
            "models.warped: the model's output: expected scores of shape [2, 10], got [2, 5]",
        ),
        ("models.warped.set", {"input": [1, 14, 14]}, "models.warped: "),
        ("models.warped.beside", "plane", "models.warped.beside: unknown other model 'plane'. Did you mean 'plain'"),
        ("models.warped.spec", "st_cn", "models.warped: unknown spec 'st_cn'. Did you mean "),
        ("models.warped.spec", "gone.toml", "models.warped: spec: no such file"),
        ("models.warped.set", {"layers.0.transform": "afine"}, "models.warped: spec: layers[0].transform: unknown"),
        ("models.warped.training", {"rate": -1}, "models.warped.training.rate: input should be greater than 0, got -1"),
        ("titel", "x", "titel: unknown option 'titel'. Did you mean 'title'"),
    ],
)
def test_a_mistake_is_told_with_its_place_before_anything_is_trained(small, path, value, said):
    with pytest.raises(InputError) as error:
        plans(small, None, {path: value})
    assert said in str(error.value)


def test_unknown_names_are_quoted_with_the_nearest(small):
    with pytest.raises(InputError, match=r"unknown model 'plan'. Did you mean 'plain'"):
        plans(small, ["plan"])
    with pytest.raises(InputError, match=r"unknown experiment 'rt'. Did you mean 'rts'"):
        plans("rt")


def test_examples_are_test_images_one_of_each_class_distorted_as_tested(small, tmp_path):
    plan = plans(small)[0]
    run = Run(tmp_path / "run")
    run.write("run.json", plan.asked(0))
    images, captions = examples(run)
    assert captions == [str(digit) for digit in range(10)]
    task = plan.task()
    (tested,), targets = task.prepare(task.take("test", torch.arange(40), task.test_draws()))
    for image, caption in zip(images, captions, strict=True):
        assert image.equal(tested[int((targets == int(caption)).nonzero()[0])])
