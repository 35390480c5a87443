import pytest
import torch
from report_runs import write_run, write_weights

from warpkit.errors import InputError
from warpkit.training.report.looks import looks
from warpkit.training.report.results import read
from warpkit.training.runs import WEIGHTS

SPEC = {"version": 1, "layers": [{"type": "spatial_transformer"}]}


def digits(run):
    return torch.rand(3, 1, 8, 8), ["0", "1", "2"]


def test_each_network_with_a_transformer_has_a_row_of_grids_and_one_of_outputs(tmp_path):
    write_run(tmp_path, model="cnn")
    for model, transform in (("st_a", "affine"), ("st_t", "thin_plate_spline")):
        write_weights(write_run(tmp_path, model=model, spec=SPEC, seed=1), transform)
    figure, left_out = looks(read([tmp_path]), "rts", digits)
    labels = [axes.get_ylabel() for axes in figure.axes[::3]]
    assert labels == ["input", "ST-A\nsampling grid", "ST-A\noutput", "ST-T\nsampling grid", "ST-T\noutput"]
    assert left_out == []


def test_weights_that_are_not_there_or_no_weights_are_left_out_with_the_reason(tmp_path):
    write_run(tmp_path, model="a", spec=SPEC)
    broken = write_run(tmp_path, model="b", spec=SPEC)
    (broken.folder / "model.safetensors").write_bytes(b"nothing")
    write_weights(write_run(tmp_path, model="c", spec=SPEC))
    figure, left_out = looks(read([tmp_path]), "rts", digits)
    assert len(figure.axes) == 9
    assert left_out[0] == "RTS, A: no model.safetensors has been kept"
    assert left_out[1].startswith("RTS, B: load: ")


@pytest.mark.parametrize("layers", [({"type": "Conv2d", "out_channels": 1, "kernel_size": 1},), ("ReLU", "Tanh")])
def test_a_transformer_that_does_not_look_at_the_image_is_left_out(tmp_path, layers):
    write_weights(write_run(tmp_path, spec=SPEC), layers=layers)
    figure, left_out = looks(read([tmp_path]), "rts", digits)
    assert figure is None
    assert left_out == ["RTS, CNN: its transformer looks at something else than the image alone"]


def test_images_that_do_not_fit_the_network_are_said(tmp_path):
    write_weights(write_run(tmp_path, spec=SPEC))
    figure, left_out = looks(read([tmp_path]), "rts", lambda run: (torch.rand(3, 1, 9, 9), ["0", "1", "2"]))
    assert figure is None
    assert left_out[0].startswith("RTS, CNN: ")


def test_a_run_that_does_not_say_its_data_has_no_picture(tmp_path):
    run = write_run(tmp_path, spec=SPEC)
    write_weights(run)
    run.write("run.json", {"experiment": "rts", "spec": SPEC})
    assert looks(read([tmp_path]), "rts", digits) == (None, ["rts: the run does not say what it was tested on"])


def test_without_the_data_there_is_no_picture_and_the_reason(tmp_path):
    write_weights(write_run(tmp_path, spec=SPEC))

    def missing(run):
        raise InputError("no such folder: mnist")

    assert looks(read([tmp_path]), "rts", missing) == (None, ["RTS: no such folder: mnist"])


def test_volumes_have_no_picture(tmp_path):
    write_weights(write_run(tmp_path, spec=SPEC))
    figure, left_out = looks(read([tmp_path]), "rts", lambda run: (torch.rand(1, 1, 4, 8, 8), ["0"]))
    assert (figure, left_out) == (None, ["RTS: its images have 3 axes, a picture has 2"])


def test_a_network_of_several_images_is_said_to_be_left_out(tmp_path):
    layers = [{"type": "spatial_transformer", "theta_from": ["warped", "fixed"]}]
    spec = {"version": 1, "inputs": {"moving": [1, 8, 8], "fixed": [1, 8, 8]}, "layers": layers}
    run = write_run(tmp_path, "hands", "velocity", spec=spec)
    (run.folder / WEIGHTS).touch()
    figure, left_out = looks(read([tmp_path]), "hands", lambda run: (torch.zeros(2, 1, 8, 8), ["0", "1"]))
    assert figure is None
    assert left_out == ["HANDS, VELOCITY: a network of several images"]
