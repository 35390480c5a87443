import dataclasses

import pytest
from benchmark_results import results, row

from warpkit.benchmark.floors import AT_POINTS, OF_TYPES, TABLE, Floor, floors
from warpkit.benchmark.results import OTHER_FORMULA, OTHER_RESULT, Memory
from warpkit.benchmark.workloads import WORKLOADS


def missed(found):
    return [floor.what for floor in floors(found) if floor.met is False]


def whole_table(factor):
    """Every entry of the table reached `factor` times over."""
    return [
        row(workload=workload, kernel=kernel, direction=direction, ratio=bound * factor)
        for workload, kernels in TABLE.items()
        for kernel, bounds in kernels.items()
        for direction, bound in zip(("forward", "forward+backward"), bounds, strict=True)
    ]


def test_every_workload_that_has_a_floor_exists():
    for name, kernels in {**TABLE, **AT_POINTS, **OF_TYPES}.items():
        assert set(kernels) <= set(WORKLOADS[name].kernels_of(None))


def test_what_was_not_measured_is_neither_reached_nor_missed():
    assert {floor.met for floor in floors(results([]))} == {None}


def test_a_ratio_at_the_bound_reaches_it_and_one_below_misses_it():
    at = results([row(workload="photos", kernel="bilinear", ratio=1.1)])
    assert missed(at) == []
    below = results([row(workload="photos", kernel="bilinear", ratio=1.09)])
    assert missed(below) == ["photos, bilinear, forward, beside torch"]


def test_the_mean_is_geometric_and_of_the_whole_table_only():
    def mean(rows):
        return next(floor for floor in floors(results(rows)) if "geometric" in floor.what)

    rows = whole_table(1.0)
    assert mean(rows[1:]).value is None
    once, twice = mean(rows), mean(whole_table(2.0))
    assert twice.value == pytest.approx(2 * once.value)
    same = [row(workload=r.workload, kernel=r.kernel, direction=r.direction, ratio=2.6) for r in rows]
    assert mean(same).value == pytest.approx(2.6)
    assert mean(same).met


def test_a_peer_that_did_other_work_gives_no_ratio():
    other = dataclasses.replace(row(workload="photos", kernel="bilinear", ratio=1.0), status=OTHER_RESULT, ratio=None)
    assert missed(results([other])) == []


def test_everywhere_means_the_least():
    rows = [
        row(workload="photos", peer="torch-interpol", ratio=20.0),
        row(workload="gray", peer="torch-interpol", ratio=7.0),
    ]
    assert missed(results(rows)) == ["everywhere, beside torch-interpol, least at gray, bilinear, forward"]


def test_lanczos_is_held_to_a_third_of_our_bicubic_and_no_other_kernel_is():
    def beside(kernel, ratio):
        one = row(workload="photos", kernel=kernel, peer="our bicubic", ratio=ratio)
        return missed(results([dataclasses.replace(one, status=OTHER_FORMULA)]))

    assert beside("lanczos", 0.34) == []
    assert beside("lanczos", 0.32) == ["everywhere, beside our bicubic, least at photos, lanczos, forward"]
    assert beside("mitchell", 0.1) == []


@pytest.mark.parametrize(("extra", "met"), [(2.0, True), (2.19, True), (2.21, False)])
def test_memory_is_held_to_image_output_and_gradients(extra, met):
    """`extra` images beyond the image and the output's gradient, which are there before: 4 and 5 % of 4 in all."""
    one = row(workload="megapixels", kernel="bicubic", direction="forward+backward", ratio=3.0)
    image = one.least_bytes // 4
    held = dataclasses.replace(one, memory=Memory(ours=int(extra * image), theirs=None))
    assert floors(results([held]))[-1].met is met


def test_a_floor_says_by_how_much():
    assert str(Floor("photos", 1.1, 0.987)) == "photos: 0.987, ≥ 1.1 is asked for"
    assert str(Floor("memory", 1.05, 1.2, at_most=True)) == "memory: 1.2, ≤ 1.05 is asked for"
    assert str(Floor("photos", 1.1, None)) == "photos: ≥ 1.1, not measured"
