import numpy as np

from leukhelpers.images.features import CHUNK, cell_area, cell_mask, cell_of


def square(size, edge):
    image = np.zeros((1, size, size, 3), np.uint8)
    image[:, :edge, :edge, 1] = 7
    return image


def test_area_counts_pixels_that_are_not_black():
    assert cell_area(square(32, 5), crop=32).tolist() == [25.0]


def test_area_is_on_the_scale_of_the_original_image():
    # 5 x 5 pixels, each standing for 12 x 12 pixels of a 384 pixel crop
    assert cell_area(square(32, 5), crop=384).tolist() == [25 * 144.0]


def test_area_does_not_depend_on_the_size_of_the_resized_image():
    assert cell_area(square(32, 8), crop=384) == cell_area(square(96, 24), crop=384)


def test_areas_of_some_rows_come_in_their_order():
    pixels = np.concatenate([square(32, edge) for edge in (3, 4, 5)])
    assert cell_area(pixels, crop=32, rows=np.array([2, 0])).tolist() == [25.0, 9.0]


def test_mask_takes_any_channel_that_is_above_zero():
    image = np.zeros((2, 2, 3), np.uint8)
    image[0, 1, 2] = 1
    assert cell_mask(image).tolist() == [[False, True], [False, False]]


def test_cell_is_the_largest_thing_with_its_holes():
    image = np.zeros((1, 32, 32, 3), np.uint8)
    image[0, 8:24, 8:24] = 120
    whole = cell_mask(image)
    image[0, 15:17, 15:17] = 0  # a hole
    image[0, 1:5, 1:5] = 200  # a mark in a corner
    np.testing.assert_array_equal(cell_of(image), whole)
    assert not cell_of(np.zeros((1, 32, 32, 3))).any()


def test_area_of_many_cells_is_the_area_of_each():
    pixels = np.zeros((CHUNK + 3, 2, 2, 3), np.uint8)
    pixels[::2, 0, 0] = 9
    expected = (np.arange(CHUNK + 3) % 2 == 0).astype(float)
    np.testing.assert_array_equal(cell_area(pixels, crop=2), expected)


def test_area_of_no_cell_is_empty():
    assert cell_area(np.zeros((0, 8, 8, 3), np.uint8), crop=8).shape == (0,)
