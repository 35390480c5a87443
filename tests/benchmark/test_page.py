import dataclasses

import pytest
from benchmark_results import results, row

from warpkit.benchmark.page import page
from warpkit.benchmark.results import ALONE, OTHER_RESULT, from_json, to_json
from warpkit.errors import InputError

ROWS = [
    row(kernel="bilinear", peer="torch", ratio=2.0),
    row(kernel="bilinear", peer="kornia", ratio=12.34),
    dataclasses.replace(row(kernel="bicubic", peer="kornia"), status=OTHER_RESULT, ratio=None, theirs=None),
    dataclasses.replace(row(kernel="bspline"), peer=None, status=ALONE, ratio=None, theirs=None, memory=None),
]
LINKS = ("img/a.png", "img/b.png")


def test_results_survive_the_file(tmp_path):
    given = results(ROWS)
    (tmp_path / "r.json").write_text(to_json(given), encoding="utf-8")
    assert from_json(tmp_path / "r.json") == given


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1, 2", "Invalid JSON"),
        ("{}", "machine: Field required"),
        (to_json(results([])).replace('"version": 1', '"version": 2'), "version: Input should be 1"),
    ],
)
def test_what_is_no_result_is_told_by_its_place(tmp_path, text, said):
    (tmp_path / "r.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"r\.json holds no results of warpkit bench: ") as error:
        from_json(tmp_path / "r.json")
    assert said in str(error.value)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(InputError, match="cannot be read: No such file"):
        from_json(tmp_path / "none.json")


def test_the_page_shows_ratios_by_peer_and_why_there_is_none():
    text = page(results(ROWS), LINKS)
    assert "| photos 2×3×64×64 | bilinear | forward | 2.00 | 12.34 |" in text
    assert "| photos 2×3×64×64 | bicubic | forward | – | different result |" in text
    assert "| photos 2×3×64×64 | bspline | forward | – | – |" in text
    assert "| photos 2×3×64×64 | bilinear | forward | torch | 1 ± 10% | 2 ± 10% | 1.0 | – | 40% |" in text


def test_the_page_tells_machine_accuracy_floors_and_pictures():
    text = page(results(ROWS), LINKS)
    assert "Some CPU, 2 cores; threads used: 2" in text
    assert "| 128 | 1.0e-07 | 1.0e-05 | 2.0e-05 |" in text
    assert "| photos, bilinear, forward, beside torch | ≥ 1.1 | 2 | yes |" in text
    assert "](img/a.png)" in text
    assert "](img/b.png)" in text
    assert "$" not in text
    assert "--quick" not in text


def test_the_page_of_a_smoke_run_says_so_and_judges_nothing():
    text = page(results(ROWS, quick=True), LINKS)
    assert "These numbers come from `--quick`" in text
    assert "beside torch |" not in text


def test_every_table_has_as_many_cells_as_its_head():
    tables = [block for block in page(results(ROWS), LINKS).split("\n\n") if block.startswith("|")]
    assert len(tables) == 5
    for table in tables:
        assert len({line.count("|") for line in table.strip().splitlines() if line.startswith("|")}) == 1


def test_the_pictures_have_a_bar_for_each_ratio_and_a_line_for_each_way():
    pictures = pytest.importorskip("warpkit.benchmark.pictures")
    bars = pictures.ratio_bars(results(ROWS))
    lengths = sorted(bar.get_width() + 1 for axes in bars.axes for bar in axes.patches)
    assert lengths == pytest.approx([2.0, 12.34])
    curve = pictures.accuracy_curve(results(ROWS))
    assert [line.get_label() for line in curve.axes[0].lines] == ["warp", "sample", "torch"]


def test_nothing_to_draw_is_told():
    pictures = pytest.importorskip("warpkit.benchmark.pictures")
    with pytest.raises(InputError, match="nothing to draw"):
        pictures.ratio_bars(results(ROWS[2:]))
