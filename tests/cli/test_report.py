import pytest
from report_runs import write_run
from typer.testing import CliRunner

from warpkit.cli import app


def run(*words, width="100"):
    return CliRunner().invoke(app, ["report", *map(str, words)], env={"COLUMNS": width})


@pytest.fixture
def runs(tmp_path):
    write_run(tmp_path / "runs", "r", model="cnn", error=0.02, paper=1.2)
    write_run(tmp_path / "runs", "r", model="st_cnn", error=0.01, paper=0.7, beside="cnn")
    return tmp_path / "runs"


def test_the_table_is_printed_and_both_files_are_in_the_first_folder(runs):
    done = run(runs)
    assert done.exit_code == 0, done.output
    cells = [[cell.strip() for cell in line.strip("│").split("│")] for line in done.stdout.splitlines() if "│" in line]
    assert ["ST-CNN", "1.00"] in cells
    assert ["", "1 seed, −50 %"] in cells
    assert ["", "paper 0.7, −42 %"] in cells
    for file in (runs / "report.html", runs / "report.md"):
        assert f"Written: {file}" in done.stdout
        assert file.is_file()
    assert [file.name for file in (runs / "report_files").iterdir()] == ["curves-r.png"]


def test_where_the_files_go_and_the_title_are_the_users(runs, tmp_path):
    page, text = tmp_path / "new" / "page.html", tmp_path / "docs" / "measured.md"
    done = run(runs / "r", runs, "--out", page, "--markdown", text, "--title", "Ours & theirs", "--no-pictures")
    assert done.exit_code == 0, done.output
    assert "<h1>Ours &amp; theirs</h1>" in page.read_text(encoding="utf-8")
    assert text.read_text(encoding="utf-8").startswith(r"# Ours \& theirs")
    assert not (text.parent / "measured_files").exists()


def test_a_page_elsewhere_leaves_what_is_beside_it_alone(runs, tmp_path):
    (tmp_path / "index.md").write_text("mine")
    assert run(runs, "--out", tmp_path / "index.html", "--no-pictures").exit_code == 0
    assert (tmp_path / "index.md").read_text() == "mine"
    assert (runs / "report.md").is_file()


def test_a_second_report_takes_the_place_of_the_first(runs):
    assert run(runs, "--no-pictures").exit_code == 0
    first = (runs / "report.html").read_bytes()
    assert run(runs, "--no-pictures").exit_code == 0
    assert (runs / "report.html").read_bytes() == first


def test_a_label_is_no_markup_of_the_terminals(runs):
    write_run(runs, "r", model="odd", label="[red]odd[/]")
    assert "[red]odd[/]" in run(runs, "--no-pictures").stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["none"], "'none' is no folder"),
        (["."], "holds no run"),
        (["runs", "--out", "report.md"], "--out: expected a name that ends in .html, got 'report.md'"),
        (["runs", "--markdown", "report.html"], "--markdown: expected a name that ends in .md, got 'report.html'"),
        (["runs", "--out", "file/report.html"], "cannot be written"),
    ],
)
def test_bad_input_is_one_line(tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    if "runs" in words:
        write_run(tmp_path / "runs")
        (tmp_path / "file").write_text("no folder")
    done = run(*words)
    assert done.exit_code == 2
    assert said in done.stderr
    assert "Traceback" not in done.output
