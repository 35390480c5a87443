import pytest

from warpkit.cli.values import join_numbers, parse_numbers, parse_options, parse_size
from warpkit.errors import InputError


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("--theta 1 -2 .5 --kernel x", ["--theta=1 -2 .5", "--kernel", "x"]),
        ("--theta −1 2,−.5e−3 in.png", ["--theta=−1 2,−.5e−3", "in.png"]),
        ("--theta -1e-3 in.png out.png", ["--theta=-1e-3", "in.png", "out.png"]),
        ("--theta 1,-2,3 4 in.png", ["--theta=1,-2,3 4", "in.png"]),
        ("--theta=1 2", ["--theta=1", "2"]),
        ("in.png --size 4 5", ["in.png", "--size=4 5"]),
        ("--other 4 5", ["--other", "4", "5"]),
        ("--theta x", ["--theta", "x"]),
        ("--theta", ["--theta"]),
    ],
)
def test_the_numbers_after_a_flag_become_one_word(typed, read):
    assert join_numbers(typed.split(), ["--theta", "--size"]) == read


@pytest.mark.parametrize(
    "given",
    [["1 -2.5 3e-1"], ["1,-2.5,0.3"], ["1, -2.5", "0.3"], ["[1 -2.5 .3]"], [" 1", "-2.5", "+.3 "], ["1 −2.5", "3e−1"]],
)
def test_numbers_may_be_parted_by_spaces_commas_or_flags(given):
    assert parse_numbers("--theta", given) == [1, -2.5, 0.3]


def test_what_is_no_number_is_quoted():
    with pytest.raises(InputError, match="--theta: expected numbers, got 'two' in '1 two 3'"):
        parse_numbers("--theta", ["1 two 3"])


@pytest.mark.parametrize("given", ["480 640", "480,640", "480x640", "480 × 640", "(480, 640)"])
def test_a_size_is_rows_and_columns(given):
    assert parse_size(given) == (480, 640)
    assert parse_size("64") == (64, 64)


@pytest.mark.parametrize("given", ["0", "1 2 3", "-480 640", "−480 640", "0 640", "4.5 6", "big", "9" * 5000 + " 1"])
def test_another_size_is_refused(given):
    with pytest.raises(
        InputError, match="--size: expected rows and columns, like 480 640, or one number for both, got"
    ):
        parse_size(given)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("k=3", 3),
        ("k=-0.5", -0.5),
        ("k=−0.5", -0.5),
        ("k=[1, −2e−3]", [1, -2e-3]),
        ("k=x−1", "x−1"),
        ("k='−1'", "−1"),
        ("k=1e-3", 1e-3),
        ("k=[3,3]", [3, 3]),
        ("k=[[0, .5], [1, 1]]", "refused"),
        ("k=[[0, 0.5], [1, 1]]", [[0, 0.5], [1, 1]]),
        ("k=true", True),
        ("k={a = 1}", {"a": 1}),
        ('k={"a": 1}', {"a": 1}),
        ("k='x y'", "x y"),
        ("k=bare words", "bare words"),
        ("k=a=b", "a=b"),
        (" k = 3 ", 3),
        ("k=", ""),
        ("k=[3,3", "refused"),
    ],
)
def test_a_value_is_json_or_toml_or_else_text(text, value):
    if value == "refused":
        with pytest.raises(InputError, match="neither JSON nor TOML"):
            parse_options("--set", [text])
    else:
        assert parse_options("--set", [text]) == {"k": value}


@pytest.mark.parametrize("text", ["k", "=3", ""])
def test_an_option_without_a_key_or_a_value_is_refused(text):
    with pytest.raises(InputError, match="--set: expected key=value, got"):
        parse_options("--set", [text])
