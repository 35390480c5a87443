"""`quoted` and what goes with it: bounded whatever it is given, and harmless on a terminal; what an `InputError` is."""

import copy
import enum
import gc
import pathlib
import pickle
import weakref

import numpy as np
import pytest
import torch

import warpkit as wk
from warpkit.errors import NOTHING, InputError, quoted, require, unknown
from warpkit.quoting import Told, listed, reason, shown
from warpkit.transforms.base import transforms


class Hostile:
    """Whatever is asked of it fails; written out, it would be counted."""

    written = 0

    def __repr__(self):
        Hostile.written += 1
        raise SystemError

    __str__ = __len__ = __iter__ = __bool__ = __hash__ = __eq__ = __repr__


class OddList(list):
    def __iter__(self):
        raise RuntimeError

    def __repr__(self):
        raise RuntimeError


def bomb(depth=200):
    """A value of 9²⁰⁰ letters, written out."""
    value = "x"
    for _ in range(depth):
        value = [value] * 9
    return value


def within_itself():
    value = []
    value.append({"again": value})
    return value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"),
        (True, "True"),
        (None, "None"),
        (0.5, "0.5"),
        ("it's", '"it\'s"'),
        ([1, ("a",), {"b": {2}}], "[1, ('a',), {'b': {2}}]"),
        (np.float32(0.5), "0.5"),
        (np.int64(7), "7"),
        (pathlib.PurePosixPath("a/b"), "'a/b'"),
        (torch.Size([2, 3]), "(2, 3)"),
        (torch.float32, "torch.float32"),
        (torch.zeros(2, 3), "<Tensor [2, 3] float32>"),
        (np.zeros((4,), np.int16), "<ndarray [4] int16>"),
        (torch.nn.Linear(2, 2), "<Linear>"),
        (enum.Enum, "<class enum.Enum>"),
        (OddList([1, 2]), "[1, 2]"),
    ],
)
def test_a_value_is_written_as_python_writes_it_and_an_object_by_its_class(value, text):
    assert quoted(value) == text


LARGE = {
    "aliases": bomb(), "within itself": within_itself(), "letters": "x" * 10**6, "bytes": b"x" * 10**6,
    "digits": 10**100_000, "many digits": [10**100_000] * 9, "numbers": list(range(10**5)),
    "table": {i: bomb() for i in range(9)}, "objects": [Hostile()] * 10**4,
}  # fmt: skip


@pytest.mark.parametrize("value", LARGE.values(), ids=LARGE.keys())
def test_no_more_is_written_than_is_shown(value):
    assert len(quoted(value)) <= 80
    assert len(quoted(value, 20)) <= 20
    assert len(shown(value, 30)) <= 30


def test_no_code_of_a_strangers_class_runs():
    Hostile.written = 0
    assert quoted([Hostile(), {Hostile: 1}]) == f"[<Hostile>, {{<class {__name__}.Hostile>: 1}}]"
    assert Hostile.written == 0


@pytest.mark.parametrize(
    "text", ["\x1b[2J", "\x9b2J", "a\u202eb", "a\u2028b", "a\rb", "a\nb", "\x00", "\x7f", "\ud800"]
)
def test_what_steers_a_terminal_is_escaped(text):
    told = [
        quoted(text),
        quoted([text]),
        quoted({text: 1}),
        shown(text),
        listed([text, text]),
        reason(ValueError(text)),
    ]
    told.append(str(unknown("name", text, [text, f"{text}s"])))
    assert all(line.isprintable() for line in told)


def test_the_name_of_a_class_is_escaped():
    assert quoted(type("\x1b[2J", (), {})()) == r"<\x1b[2J>"


def test_an_error_is_told_by_its_first_line_or_its_class():
    assert reason(ValueError("one\ntwo")) == "one"
    assert reason(ValueError()) == "ValueError"
    assert reason(ValueError(Hostile())) == "ValueError"
    assert len(reason(ValueError("x" * 10**6))) <= 200


def test_a_long_list_of_known_names_is_cut():
    error = unknown("id", "eye", [f"eye{i}" for i in range(10**4)])
    assert isinstance(error, InputError)
    assert "Did you mean" in str(error)
    assert str(error).endswith("… (9900 more).")


# ----------------------------------------------------------------------------------------------- what it is made of

IMAGE = torch.zeros(1, 1, 8, 8)
THETA = torch.zeros(1, 6)

DOORS = {
    "an option": (
        lambda: wk.warp(IMAGE, "affine", THETA, align_corners=None),
        {"what": "align_corners", "given": "None", "expected": "True or False"},
        "align_corners: expected True or False, got None",
    ),
    "a name": (
        lambda: wk.sample(IMAGE, torch.zeros(1, 4, 2), padding_mode="zero"),
        {
            "what": "padding_mode",
            "given": "'zero'",
            "expected": ("border", "none", "reflection", "wrap", "zeros"),
            "hint": "Did you mean 'zeros'?",
        },
        "unknown padding_mode 'zero'. Did you mean 'zeros'? Known: border, none, reflection, wrap, zeros.",
    ),
    "a shape": (
        lambda: wk.warp(IMAGE, "affine", torch.zeros(1, 5)),
        {"what": "theta", "given": "[1, 5]", "expected": "[N, 6] for Affine (θ11 θ12 θ13 θ21 θ22 θ23), or [N, 2, 3]"},
        "theta: expected [N, 6] for Affine (θ11 θ12 θ13 θ21 θ22 θ23), or [N, 2, 3], got [1, 5]",
    ),
    "a batch that was forgotten": (
        lambda: wk.sample(IMAGE[0], torch.zeros(1, 4, 2)),
        {
            "what": "coords",
            "given": "[1, 4, 2]",
            "hint": "Is the image's batch missing (image[None], [1, 1, 8, 8]), "
            "or are its channels (image[:, None], [1, 1, 8, 8])?",
        },
        "coords: expected [N, *T, 1] in 1 dimensions, got [1, 4, 2]. Is the image's batch missing (image[None], "
        "[1, 1, 8, 8]), or are its channels (image[:, None], [1, 1, 8, 8])?",
    ),
    "a plugin's number of points": (
        lambda: wk.get_transform("thin_plate_spline", grid=(1, 4)),
        {"what": "grid", "given": "(1, 4)", "expected": "(rows, cols), each at least 2"},
        "grid: expected (rows, cols), each at least 2, got (1, 4)",
    ),
    "a class": (
        lambda: wk.get_kernel("bicubic", a=torch.nn.Linear),
        {"what": "a", "given": "<class torch.nn.modules.linear.Linear>", "expected": "a finite number"},
        "a: expected a finite number, got <class torch.nn.modules.linear.Linear>",
    ),
    "no place to start": (
        lambda: wk.align(torch.rand(1, 1, 8, 8), torch.rand(1, 1, 8, 8), {"type": "attention", "scale": 0.5}),
        {"what": "attention with a fixed scale of 0.5 has no identity", "hint": "give init, from where to start"},
        "attention with a fixed scale of 0.5 has no identity: give init, from where to start",
    ),
    "a path of an override": (
        lambda: wk.build({"layers": ["ReLU"]}, {"layers.7": "ReLU"}),
        {"what": "override layers.7", "given": "'7'", "expected": "a number from 0 to 0"},
        "override layers.7: expected a number from 0 to 0, got '7'",
    ),
    "a file": (
        lambda: wk.build("net.txt"),
        {"path": "spec", "given": "'net.txt'", "expected": "a file that ends in .toml, .yaml or .json"},
        "spec: expected a file that ends in .toml, .yaml or .json, got 'net.txt'",
    ),
}


def raised(call):
    with pytest.raises(InputError) as told:
        call()
    return told.value


def facts(error):
    names = ("what", "given", "expected", "hint", "path")
    return {name: getattr(error, name) for name in names}, [facts(mistake) for mistake in error.mistakes]


@pytest.mark.parametrize(("call", "attributes", "text"), DOORS.values(), ids=DOORS.keys())
def test_every_door_fills_the_attributes_and_the_text_is_made_of_them(unchecked, call, attributes, text):
    error = raised(call)
    assert attributes.items() <= facts(error)[0].items()
    assert str(error) == text
    assert str(InputError(**facts(error)[0] | {"given": Told(error.given) if error.given else NOTHING})) == text


WRONG = {"input": [1, 8, 8], "layers": [{"type": "Dropout", "p": "half"}, {"type": "Conv2d"}, {"use": "eyes"}]}


def test_the_mistakes_of_a_spec_are_errors_with_a_path_each(unchecked):
    error = raised(lambda: wk.build(WRONG))
    assert error.path == "spec"
    assert [(each.path, each.given, each.expected) for each in error.mistakes] == [
        ("layers[0].p", "'half'", "float"),
        ("layers[1]", "", ""),
        ("layers[1]", "", ""),
        ("layers[2].use", "'eyes'", ()),
    ]
    assert str(error).splitlines()[0] == "spec: layers[0].p: expected float, got 'half'"
    assert str(error).splitlines()[1] == "      layers[1]: needs out_channels"


def test_a_path_is_put_in_front_and_lines_stay_below_each_other():
    error = InputError(path="spec", mistakes=[InputError("a", path="x"), InputError("b", path="y")]).at("model")
    assert str(error) == "model: spec: x: a\n             y: b"
    assert str(InputError("a").at("")) == "a"


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
@pytest.mark.parametrize("call", [*(door[0] for door in DOORS.values()), lambda: wk.build(WRONG)])
def test_copies_and_pickles_say_the_same(unchecked, call, again):
    error = raised(call)
    other = again(error)
    assert type(other) is InputError
    assert (str(other), repr(other), facts(other)) == (str(error), repr(error), facts(error))


class Late(wk.Transform):
    """A plugin that raises in its constructor; `how` says what."""

    ndim, num_params = 2, 1

    def __init__(self, speed: float = 1.0, how: str = "") -> None:
        super().__init__()
        if how == "text":
            raise wk.InputError("this is just a text")
        if how == "own":
            raise OwnError(3)
        if how:
            raise wk.InputError(how, expected="a number of at least 0", given=speed)

    def forward(self, theta, points):
        return points


class OwnError(InputError):
    """A plugin's own, which tells `InputError` nothing."""

    def __init__(self, number: int) -> None:
        self.number = number


@pytest.mark.parametrize(
    ("how", "path", "text"),
    [
        ("text", "layers[0].transform", "layers[0].transform: this is just a text"),
        ("own", "layers[0].transform", "layers[0].transform: 3"),
        ("speed", "layers[0].transform.speed", "layers[0].transform.speed: expected a number of at least 0, got -1.0"),
        ("pace", "layers[0].transform", "layers[0].transform: pace: expected a number of at least 0, got -1.0"),
    ],
)
def test_a_plugin_s_error_gets_the_path_and_what_is_about_an_option_is_told_there(
    unchecked, monkeypatch, how, path, text
):
    monkeypatch.setattr(transforms, "_registered", dict(transforms._registered))
    wk.register_transform("late")(Late)
    late = {"type": "late", "speed": -1.0, "how": how}
    spec = {"layers": [{"type": "spatial_transformer", "localization": "conv_localization", "transform": late}]}
    (mistake,) = raised(lambda: wk.build(spec)).mistakes
    assert (mistake.path, str(mistake)) == (path, text)


def test_an_error_keeps_nothing_alive_of_what_was_given():
    theta = torch.zeros(1, 5)
    seen = weakref.ref(theta)
    error = raised(lambda: wk.warp(IMAGE, "affine", theta.int())).with_traceback(None)
    error.__context__ = None
    kept = InputError("theta", given=theta)
    del theta
    gc.collect()
    assert seen() is None
    assert (error.given, kept.given) == ("torch.int32", "<Tensor [1, 5] float32>")


def test_nothing_is_written_where_nothing_is_wrong():
    Hostile.written = 0
    require(True, "what", expected="this", given=Hostile())
    assert Hostile.written == 0
    with pytest.raises(InputError, match=r"what: expected this, got <Hostile>"):
        require(False, "what", expected="this", given=Hostile())


def test_a_hint_is_a_sentence_of_its_own_or_follows_a_colon():
    assert str(InputError("too large", hint="try a smaller one")) == "too large: try a smaller one"
    assert str(InputError("too large", hint="Is it in bytes?")) == "too large. Is it in bytes?"


def test_a_compiled_function_may_catch_one(compiler):
    def guarded(image, theta):
        try:
            return wk.warp(image, "affine", theta)
        except InputError:
            return image + 1

    compiled = torch.compile(guarded, fullgraph=True, backend="eager")
    assert torch.equal(compiled(IMAGE, torch.zeros(1, 5)), IMAGE + 1)


@pytest.mark.parametrize(
    ("call", "hint"),
    [
        (lambda: wk.get_kernel("linear"), "Did you mean 'bilinear'?"),
        (lambda: wk.get_kernel("Cubic"), "Did you mean 'bicubic'?"),
        (lambda: wk.get_kernel("catmull_rom"), "Did you mean {'type': 'bicubic', 'a': -0.5}?"),
        (lambda: wk.get_kernel("Lanczos2"), "Did you mean {'type': 'lanczos', 'a': 2}?"),
        (lambda: wk.get_kernel("lanczos_normalized"), "Did you mean {'type': 'lanczos', 'normalized': True}?"),
        (lambda: wk.get_kernel("catmull-rom"), "Did you mean {'type': 'bicubic', 'a': -0.5}?"),
        (lambda: wk.get_kernel("area"), "antialias=True"),
        (lambda: wk.get_kernel("b-spline"), "Did you mean 'bspline'?"),
        (lambda: wk.get_transform("bspline"), "Did you mean 'free_form'?"),
        (lambda: wk.get_transform("dense"), "Did you mean 'displacement'?"),
        (lambda: wk.get_transform("crop"), "Did you mean 'attention'?"),
        (lambda: wk.get_transform("homography"), "Did you mean 'projective'?"),
        (lambda: wk.get_transform("perspective"), "Did you mean 'projective'?"),
        (lambda: wk.get_transform("rigid"), "Did you mean 'euclidean'?"),
        (lambda: wk.get_transform("tps"), "Did you mean 'thin_plate_spline'?"),
        (lambda: wk.sample(torch.zeros(1, 1, 4), torch.zeros(1, 1, 1), padding_mode="circular"), "mean 'wrap'?"),
        (lambda: wk.sample(torch.zeros(1, 1, 4), torch.zeros(1, 1, 1), padding_mode="constant"), "mean 'zeros'?"),
        (lambda: wk.sample(torch.zeros(1, 1, 4), torch.zeros(1, 1, 1), padding_mode="reflect"), "mean 'reflection'?"),
    ],
)
def test_names_of_other_libraries_lead_to_ours(call, hint):
    with pytest.raises(InputError) as raised:
        call()
    assert hint in raised.value.hint
