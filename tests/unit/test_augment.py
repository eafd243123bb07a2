"""Changes to training images: different for each, small, and within the image."""

import numpy as np
import pytest

from cnnviz.data import generator
from cnnviz.training.augment import STRIP, affine, elastic, thicken, warp


@pytest.fixture(scope="module")
def pictures():
    return generator.images(200, 1)[0]


def test_a_warp_of_strength_nought_changes_nothing(pictures):
    assert np.array_equal(warp(pictures, np.random.default_rng(0), 0.0), pictures)


def test_warps_differ_from_image_to_image_and_repeat_with_the_seed(pictures):
    same = np.repeat(pictures[:1], 50, axis=0)
    warped = warp(same, np.random.default_rng(1))
    assert len(np.unique(warped.reshape(50, -1), axis=0)) == 50
    assert np.array_equal(warped, warp(same, np.random.default_rng(1)))


def test_a_warped_digit_keeps_about_its_ink_and_place(pictures):
    warped = warp(pictures, np.random.default_rng(2), 0.6)
    ink = warped.sum(axis=(1, 2)) / pictures.sum(axis=(1, 2))
    assert 0.9 < np.median(ink) < 1.1
    assert ink.min() > 0.5
    y, x = np.mgrid[:28, :28]
    for axis in (x, y):
        before, after = ((p * axis).sum(axis=(1, 2)) / p.sum(axis=(1, 2)) for p in (pictures, warped))
        assert np.abs(before - after).max() < 4


def test_no_neighbour_shows_in_a_warped_image():
    # Every second image is empty, over more than one strip: what is empty stays so.
    images = np.zeros((STRIP + 10, 28, 28), np.uint8)
    images[::2] = 255
    warped = warp(images, np.random.default_rng(3))
    assert not warped[1::2].any()
    assert (warped[::2] == 255).all()


def test_the_affine_matrices_have_the_stated_range():
    assert np.allclose(affine(3, np.random.default_rng(4), 0.0), [[1, 0, 0], [0, 1, 0]])
    matrices = affine(5_000, np.random.default_rng(4))
    assert np.abs(matrices[:, :, 2]).max() <= 1.5
    areas = np.linalg.det(matrices[:, :, :2])
    assert 0.85**2 * 0.9 < areas.min() < 0.78
    assert 1.26 < areas.max() < 1.15**2 * 1.1


def test_elastic_displacements_are_smooth_and_of_the_stated_size():
    field = elastic(500, 28, np.random.default_rng(5))
    assert field.shape == (500, 2, 28, 28)
    assert 0.5 < field.std() < 1.0
    assert np.abs(np.diff(field, axis=3)).max() < 1.5, "no line is torn"


def test_a_thicker_pen_adds_ink_and_a_thinner_one_takes_it(pictures):
    ink = pictures.sum(axis=(1, 2), dtype=np.int64)
    count = len(pictures)
    assert np.array_equal(thicken(pictures, np.zeros(count)), pictures)
    assert (thicken(pictures, np.full(count, 0.5)).sum(axis=(1, 2)) > ink).all()
    assert (thicken(pictures, np.full(count, -0.5)).sum(axis=(1, 2)) < ink).all()


def test_a_thicker_pen_in_one_image_leaves_the_next_one_alone():
    images = np.zeros((3, 28, 28), np.uint8)
    images[1] = 255
    thick = thicken(images, np.ones(3))
    assert not thick[[0, 2]].any()
    assert (thick[1] == 255).all()
