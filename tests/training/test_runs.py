import shutil

import pytest
from typer.testing import CliRunner

from warpkit.cli import app
from warpkit.errors import InputError
from warpkit.training.runs import Run, find_runs


def long(file):
    with file.open("wb") as content:
        content.truncate(2**27)  # which takes no room on the disk


WRONG = [
    (lambda file: file.write_text("[" * 100_000), "cannot be read"),
    (lambda file: file.write_text('{"a": ' + "[" * 500 + "]" * 500 + "}"), "more than 100 tables lie in one another"),
    (lambda file: file.write_text('{"seed": ' + "9" * 5000 + "}"), "cannot be read"),
    (lambda file: file.write_bytes(b'{"a": "\xff"}'), "cannot be read"),
    (lambda file: file.write_text("[]"), "expected a table"),
    (lambda file: file.write_text('{"a": '), "cannot be read"),
    (lambda file: file.write_text(""), "cannot be read"),
    (long, "is longer than that of any run"),
]


@pytest.mark.parametrize(("harm", "said"), WRONG)
@pytest.mark.parametrize("name", ["run.json", "result.json"])
def test_facts_that_are_damaged_or_of_something_else_are_named(tmp_path, harm, said, name):
    harm(tmp_path / name)
    run = Run(tmp_path)
    with pytest.raises(InputError, match=rf"{name}.*{said}"):
        run.asked if name == "run.json" else run.result  # noqa: B018


@pytest.mark.parametrize("content", [b"epoch\nx", b"epoch\n1,2", b"epoch\n\xff", b"epoch\n" + b"1" * 200_000, None])
def test_metrics_that_are_damaged_or_of_something_else_are_named(tmp_path, content):
    file = tmp_path / "metrics.csv"
    file.write_bytes(content) if content is not None else long(file)
    with pytest.raises(InputError, match=r"metrics\.csv"):
        Run(tmp_path).metrics  # noqa: B018


def test_a_folder_that_no_system_can_have_is_none(tmp_path):
    with pytest.raises(InputError, match="is no folder"):
        find_runs([tmp_path / ("x" * 300)])


FACTS = [None, True, -1, 0.5, float("nan"), 10**300, 10**400, "text", "[/bold]", [], [[1]], {}, {"type": ["digits"]}]


def said_of(words):
    done = CliRunner().invoke(app, [*map(str, words)])
    assert done.exit_code == 0, done.output
    return done.output


def test_facts_of_any_kind_are_reported_without_a_traceback(tmp_path, whole):
    asked, result = Run(whole).asked, Run(whole).result
    names = [*asked, *result]
    for i, fact in enumerate(FACTS * 3):
        run, name = Run(tmp_path / str(i)), names[i * 7 % len(names)]
        run.write("run.json", {**asked, name: fact} if name in asked else asked)
        run.write("result.json", {**result, name: fact} if name in result else result)
    assert "Written: " in said_of(["report", tmp_path, "--no-pictures"])


def test_runs_that_say_something_else_of_their_data_and_model_are_not_evaluated_and_others_are(tmp_path, whole):
    for name in ("data", "spec"):
        for i, fact in enumerate(FACTS):
            run = Run(shutil.copytree(whole, tmp_path / f"{name}-{i}"))
            run.write("run.json", {**run.asked, name: fact})
    shutil.copytree(whole, tmp_path / "whole")
    said = said_of(["evaluate", tmp_path, "--json"])
    assert said.count('"error"') == 1
    assert said.count("warpkit: ") == 2 * len(FACTS)
