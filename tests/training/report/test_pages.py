"""The same page as HTML and as Markdown."""

import re
import shlex
from html.parser import HTMLParser

import pytest
import torch
from report_runs import write_run, write_weights

from warpkit.training.report import compose, html, read, write_markdown
from warpkit.training.report.page import Code

NASTY = "<script>alert('|')</script> `a` [x](http://x) &lt; *b*"


class Reader(HTMLParser):
    """Tags with their attributes, and the text of each."""

    def __init__(self, page: str):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)


def examples(run):
    return torch.rand(2, 1, 8, 8), ["0", "1"]


@pytest.fixture
def page(tmp_path):
    runs = tmp_path / "runs"
    write_run(runs, model="cnn", paper=0.8)
    warned = {"warnings": ["layers.0: looks outside"]}
    spec = {"layers": ["spatial_transformer"], "type": "spatial_transformer"}
    run = write_run(runs, model="st_cnn", beside="cnn", paper=0.5, watched=("layers.0",), result=warned, spec=spec)
    write_weights(run)
    return compose(read([runs]), "Mine", examples=examples)


def test_the_page_is_one_file_that_fetches_and_runs_nothing(page):
    read_back = Reader(html(page))
    sources = [attrs["src"] for _, attrs in read_back.tags if "src" in attrs]
    assert len(sources) == 3
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not [tag for tag, attrs in read_back.tags if tag in ("script", "link", "iframe") or "href" in attrs]
    assert "url(" not in html(page)


def test_both_have_every_section_number_and_picture(page, tmp_path):
    write_markdown(page, tmp_path / "out" / "my report.md")
    text = (tmp_path / "out" / "my report.md").read_text(encoding="utf-8")
    words = "\n".join(Reader(html(page)).words)
    for section in page.sections:
        assert f"## {section.title}" in text
        assert section.title in words
    for said in ("layers.0: looks outside", "−38 %", "105,610", "21.0 %", "Some CPU, 2 cores", "1,000 digits"):
        assert said in words
        assert said in text
    pictures = re.findall(r"\]\((.*?)\)", text)
    assert pictures == [f"my%20report_files/{name}-rts.png" for name in ("curves", "grids", "watch")]
    for link in pictures:
        assert (tmp_path / "out" / link.replace("%20", " ")).read_bytes().startswith(b"\x89PNG")


def test_the_table_of_errors_is_in_pipe_syntax(page, tmp_path):
    write_markdown(page, tmp_path / "report.md")
    lines = (tmp_path / "report.md").read_text(encoding="utf-8").splitlines()
    at = lines.index("| model | RTS |")
    assert lines[at + 1 : at + 3] == ["| --- | --: |", "| CNN | 2.00<br>1 seed<br>paper 0.8 |"]


def test_what_files_say_is_shown_and_never_obeyed(tmp_path):
    write_run(
        tmp_path / "runs", label=NASTY, column=NASTY, title=NASTY, machine=NASTY, command=f"warpkit train {NASTY}",
        result={"tested_on": NASTY, "warnings": [NASTY]},
    )  # fmt: skip
    page = compose(read([tmp_path / "runs"]), NASTY)
    read_back = Reader(html(page))
    assert "script" not in [tag for tag, _ in read_back.tags]
    assert read_back.words.count(NASTY) >= 5
    write_markdown(page, tmp_path / "report.md")
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    outside_of_code = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    assert "<script" not in outside_of_code.replace(r"\<", "")
    assert r"\[x\](http" in outside_of_code
    row = next(line for line in text.splitlines() if line.startswith(r"| \<script"))
    assert len(re.findall(r"(?<!\\)\|", row)) == 3


def test_the_pictures_of_an_experiment_have_a_name_that_a_file_can_have(tmp_path):
    write_run(tmp_path / "a", experiment="x", model="m").write("run.json", {"experiment": "../../Etc/a b"})
    write_run(tmp_path / "b", experiment="x", model="m").write("run.json", {"experiment": "etc/a-b"})
    write_run(tmp_path / "c", experiment="x", model="m").write("run.json", {"experiment": "…"})
    write_markdown(compose(read([tmp_path]), ""), tmp_path / "report.md")
    names = {file.name for file in (tmp_path / "report_files").iterdir()}
    assert names == {"curves-etc-a-b.png", "curves-etc-a-b-.png", "curves-experiment.png"}


def commands(tmp_path):
    parts = compose(read([tmp_path]), "", pictures=False).sections[-1].parts
    return next(part.lines for part in parts if isinstance(part, Code))


def test_the_command_is_the_runs_own_or_made_of_its_names(tmp_path):
    write_run(tmp_path, seed=0)
    write_run(tmp_path, seed=1, command="warpkit train mine.toml --set training.epochs=3 --seed 1")
    assert commands(tmp_path) == [
        "warpkit train rts --model cnn --seed 0",
        "warpkit train mine.toml --set training.epochs=3 --seed 1",
    ]


@pytest.mark.parametrize("command", ["warpkit train rts; ls ~", "ls ~", "warpkit train 'rts", "$(ls ~)"])
def test_what_is_to_be_pasted_is_one_command_of_warpkit(tmp_path, command):
    write_run(tmp_path, command=command)
    (line,) = commands(tmp_path)
    words = list(shlex.shlex(line, posix=True, punctuation_chars=True))  # as a shell reads it: an operator is a word
    assert words[:2] == ["warpkit", "train"]
    assert not set(words) & {";", "&", "|", "(", ")"}


def test_without_pictures_the_numbers_and_warnings_are_there(tmp_path):
    write_run(tmp_path, result={"warnings": ["it folds"]})
    text = html(compose(read([tmp_path]), "", pictures=False))
    assert "<img" not in text
    assert "it folds" in text
