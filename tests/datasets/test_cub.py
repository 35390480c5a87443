import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from cub_files import FILES, NAMES, pixels, write_cub
from PIL import Image

from warpkit.datasets import Birds
from warpkit.errors import InputError

CALTECH = "data.caltech.edu/records/65de6-vp158"


@pytest.fixture
def cub(tmp_path: Path) -> Path:
    write_cub(tmp_path)
    return tmp_path


def test_the_official_split_with_labels_from_0_and_names(cub):
    train, test = Birds(cub), Birds(cub, "test")
    assert [file.name for file in train.files] == [Path(NAMES[i]).name for i in (2, 3, 4)]
    assert [file.name for file in test.files] == [Path(NAMES[1]).name]
    assert train.labels.tolist() == [0, 1, 1]
    assert (len(train), len(test)) == (3, 1)
    assert train.classes == ["001.Black_footed_Albatross", "002.Laysan_Albatross"]
    assert train.part_names == ["back", "beak", "left eye"]


def test_boxes_are_edges_and_parts_are_places_in_the_picture(cub):
    birds = Birds(cub)
    assert birds.boxes[0].tolist() == [2, 12, 18, 28]
    assert birds.parts[0].tolist() == [[0, 0], [12, 12], [3, 2]]
    assert birds.visible[0].tolist() == [False, True, True]


def test_lines_belong_to_images_by_number_whatever_their_order(cub):
    expected = Birds(cub)
    for name in FILES:
        lines = (cub / "CUB_200_2011" / name).read_text().splitlines()
        if name not in ("images.txt", "classes.txt", "parts/parts.txt"):
            (cub / "CUB_200_2011" / name).write_text("\r\n".join(reversed(lines)))
    again = Birds(cub)
    assert again.files == expected.files
    for field in ("labels", "boxes", "parts", "visible"):
        assert getattr(again, field).equal(getattr(expected, field))


def test_the_short_side_is_resized_and_the_middle_cut_out(cub):
    image = Birds(cub, "test", size=10)[0].image  # 40 × 20 becomes 20 × 10, of which columns 5 … 14 are the middle
    assert image.shape == (3, 10, 10)
    assert image.dtype == torch.uint8
    expected = pixels(1).reshape(10, 2, 20, 2, 3).mean((1, 3))[:, 5:15].transpose(2, 0, 1)
    assert np.abs(image.numpy() - expected)[:2, 1:-1, 1:-1].max() < 8


def test_box_and_parts_are_in_pixels_of_the_crop(cub):
    bird = Birds(cub, "test", size=10)[0]  # halved, then 5 columns cut off on the left
    assert bird.box.tolist() == [0, 1, 8, 6]  # the left edge, at −2, ends at the crop
    assert bird.visible.tolist() == [False, True, False]  # the eye is left of the crop
    assert bird.parts.tolist() == [[0, 0], [0.5, 6], [0, 0]]


def test_a_crop_lies_where_its_place_says(cub):
    birds = Birds(cub, "test", size=20)
    whole = torch.from_numpy(np.array(Image.open(birds.files[0]))).permute(2, 0, 1)
    for x, column in ((0.0, 0), (0.25, 5), (0.5, 10), (1.0, 20)):
        bird = birds.crop(0, (x, 0.3))
        assert bird.image.equal(whole[..., column : column + 20])
        assert bird.box.tolist() == [max(6 - column, 0), 2, min(26 - column, 20), 12]
    beak = birds.crop(0, torch.tensor([0.25, 0.0])).parts[1]
    assert beak.tolist() == [6, 12]


def test_a_larger_short_side_leaves_room_both_ways_and_places_are_drawn_evenly(cub):
    birds = Birds(cub, size=16, short=20)
    places = birds.draw(500, torch.Generator().manual_seed(0))
    assert places.equal(birds.draw(500, torch.Generator().manual_seed(0)))
    tops = torch.stack([birds.crop(0, place).box[1] for place in places])  # the box is at 12 of 40 rows
    assert tops.max() == 12
    assert tops.min() == 0
    assert not birds.crop(2, places[0]).image.equal(birds.crop(2, places[1]).image)


def test_grey_pictures_get_three_equal_channels(cub):
    image = Birds(cub, size=24)[1].image
    assert image.shape == (3, 24, 24)
    assert image[0].equal(image[1])
    assert image[0].equal(image[2])


def test_a_loader_takes_it(cub):
    image, label, box, parts, visible = next(iter(torch.utils.data.DataLoader(Birds(cub, size=8), batch_size=3)))
    assert image.shape == (3, 3, 8, 8)
    assert label.tolist() == [0, 1, 1]
    assert (box.shape, parts.shape, visible.shape) == ((3, 4), (3, 3, 2), (3, 3))


def test_the_folder_itself_will_do(cub):
    assert len(Birds(cub / "CUB_200_2011")) == 3


def test_the_archive_as_downloaded_is_unpacked_or_named(cub, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("packed")
    archive = elsewhere / "CUB_200_2011.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(cub / "CUB_200_2011", "CUB_200_2011")
    content = archive.read_bytes()
    archive.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=rf"CUB_200_2011\.tgz cannot be unpacked: .*{CALTECH}"):
        Birds(elsewhere)
    assert os.listdir(elsewhere) == [archive.name]
    archive.write_bytes(content)
    assert Birds(elsewhere, size=8)[0].image.equal(Birds(cub, size=8)[0].image)


def complaint(cub: Path) -> str:
    with pytest.raises(InputError) as caught:
        Birds(cub)
    assert CALTECH in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_missing_empty_or_no_text_is_named(cub, name):
    file = cub / "CUB_200_2011" / name
    file.write_bytes(b"\xff\xfe\x00")
    assert f"{file} cannot be read" in complaint(cub)
    file.write_text("")
    assert str(file) in complaint(cub)
    file.unlink()
    assert f"{file} is missing" in complaint(cub)


@pytest.mark.parametrize("name", sorted(set(FILES) - {"images.txt", "classes.txt", "parts/parts.txt"}))
def test_a_table_that_is_cut_off_or_about_other_images_is_named(cub, name):
    file = cub / "CUB_200_2011" / name
    lines = FILES[name].splitlines()
    for wrong in (
        lines[:-1],
        [*lines, lines[-1]],
        [*lines[:-1], lines[0]],
        [*lines[:-1], "9" + lines[-1]],
        [*lines[:-1], lines[-1].rpartition(" ")[0]],
        [*lines[:-1], lines[-1] + "x"],
        [*lines[:-1], lines[-1].rpartition(" ")[0] + " nan"],
    ):
        file.write_text("\n".join(wrong))
        assert str(file) in complaint(cub)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("images.txt", "1 a.jpg\n1 b.jpg\n", "images.txt, line 2: the number 1 is there twice"),
        ("images.txt", "1 a.jpg\n\nb.jpg\n", "images.txt, line 3: expected a number of up to 6 digits and a name"),
        ("classes.txt", f"1 a\n{'9' * 30} b\n", "classes.txt, line 2: expected a number of up to 6 digits"),
        ("images.txt", f"{'9' * 5000} a.jpg\n", "images.txt, line 1: expected a number of up to 6 digits"),
        ("images.txt", "1 ../classes.txt\n", "images.txt, line 1: '../classes.txt' is no file of this folder"),
        ("images.txt", "1 a.jpg\n2 /etc/passwd\n", "images.txt, line 2: '/etc/passwd' is no file of this folder"),
        ("images.txt", "1 a/./../../b.jpg\n", "images.txt, line 1: 'a/./../../b.jpg' is no file of this folder"),
        ("images.txt", f"1 {'é' * 128}.jpg\n", "images.txt, line 1: 'éé"),
        ("images.txt", "1 a\0.jpg\n", r"images.txt, line 1: 'a\x00.jpg' is no file of this folder"),
        ("images.txt", f"1 {'a/' * 3000}b.jpg\n", "images.txt, line 1: 'a/a/"),
        ("bounding_boxes.txt", "1 0 0 1 1\n2 0 0 1 1\n3 0 0 1e30 1\n4 0 0 1 1\n", "is beyond ±1,000,000"),
        ("image_class_labels.txt", "1 1\n2 1\n3 2\n4 3\n", "a class [3.0] that classes.txt does not have"),
        ("train_test_split.txt", "1 0\n2 1\n3 1\n4 2\n", "expected 0 or 1 for each image"),
    ],
)
def test_a_list_that_says_something_else_is_named(cub, name, text, expected):
    (cub / "CUB_200_2011" / name).write_text(text)
    said = complaint(cub)
    assert expected in said
    assert name in said


def test_an_image_of_the_list_that_is_not_there_is_named(cub):
    file = cub / "CUB_200_2011" / "images" / NAMES[3]
    file.unlink()
    assert f"1 of 3 images are missing, {file} first" in complaint(cub)


def test_a_corrupt_image_is_named_when_it_is_read(cub):
    file = cub / "CUB_200_2011" / "images" / NAMES[3]
    file.write_bytes(file.read_bytes()[:-100])
    birds = Birds(cub, size=8)
    assert birds[0].label == 0
    with pytest.raises(InputError, match=rf"Laysan_Albatross_0002_1027\.jpg is missing, cut off or no.*{CALTECH}"):
        birds[1]


def test_options_that_make_no_sense_are_refused(cub):
    with pytest.raises(InputError, match="a crop of 224 pixels does not fit in a short side of 100"):
        Birds(cub, short=100)
    with pytest.raises(InputError, match=r"place: expected x and y in 0 … 1, got \(0\.5, 1\.1\)"):
        Birds(cub).crop(0, (0.5, 1.1))
    with pytest.raises(InputError, match=r"unknown split of birds 'trian'\. Did you mean 'train'"):
        Birds(cub, "trian")
    with pytest.raises(InputError, match=f"neither CUB_200_2011 nor CUB_200_2011.tgz: get it from https://{CALTECH}"):
        Birds(cub / "CUB_200_2011" / "parts")
