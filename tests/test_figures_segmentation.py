"""Pictures of segmentations: what is drawn is what was given, and can be read."""

import numpy as np
import pytest
from test_figures import CAPTION, assert_legible, strings

from symjax.figures import segmentation, style
from symjax.figures.class_colors import class_colors

RNG = np.random.default_rng(0)
CAMVID = (
  'Sky', 'Building', 'Pole', 'Road', 'Pavement', 'Tree', 'SignSymbol', 'Fence', 'Car',
  'Pedestrian', 'Bicyclist',
)  # fmt: skip


def picture(name, size=(18, 24), classes=11, channels=3):
  truth, prediction = RNG.integers(0, classes, (2, *size))
  truth[:3] = 255  # Of no class.
  return {
    'name': name,
    'image': RNG.integers(0, 256, (*size, channels), np.uint8),
    'truth': truth,
    'prediction': prediction,
    'flipped_back': np.where(
      RNG.random(size) < 0.25, (prediction + 1) % classes, prediction
    ),  # fmt: skip
  }


PICTURES = [picture(f'test image {place}') for place in (0, 116, 232)]
COLORS = class_colors('camvid', 11)
PAGES = {
  'camvid': lambda: segmentation.draw(PICTURES, CAMVID, 'camvid', CAPTION),
  'one tall image': lambda: segmentation.draw(
    [picture('validation image 4999', (30, 20), 2, 1)],
    ['background', 'foreground'],
    'made up',
    CAPTION,
  ),
  'many classes': lambda: segmentation.draw(
    [picture('test image 0', classes=21)],
    [f'class number {i}' for i in range(21)],
    'voc_segmentation',
    CAPTION,
  ),
  'none': lambda: segmentation.draw([], CAMVID, 'camvid', CAPTION),
}


@pytest.mark.parametrize('name', PAGES)
def test_no_text_leaves_the_page_or_touches_another(name):
  assert_legible(PAGES[name]())


def test_every_panel_shows_what_it_says():
  figure = PAGES['camvid']()
  panels = [axes.get_images()[0].get_array() for axes in figure.axes]
  assert len(panels) == 5 * len(PICTURES)
  for i, given in enumerate(PICTURES):
    image, truth, prediction, flipped_back, differs = panels[5 * i : 5 * i + 5]
    np.testing.assert_array_equal(image, given['image'])
    assert (truth[:3] == (0, 0, 0)).all()
    np.testing.assert_array_equal(truth[3:], COLORS[given['truth'][3:]])
    np.testing.assert_array_equal(prediction, COLORS[given['prediction']])
    np.testing.assert_array_equal(flipped_back, COLORS[given['flipped_back']])
    red = (differs == (192, 0, 0)).all(axis=-1)
    np.testing.assert_array_equal(red, given['prediction'] != given['flipped_back'])
    assert f'{100 * red.mean():.1f}% of pixels' in strings(figure)
  assert style.MARK == '#C00000'
  assert {*CAMVID, 'unlabelled', 'truth', 'test image 116'} <= set(strings(figure))


def test_a_panel_has_the_shape_of_the_image():
  for name, shape in (('camvid', 18 / 24), ('one tall image', 30 / 20)):
    figure = PAGES[name]()
    figure.draw_without_rendering()
    for axes in figure.axes:
      box = axes.get_window_extent()
      assert box.height / box.width == pytest.approx(shape, rel=0.03)


def test_colors_are_those_of_the_data_sets():
  """CamVid's as published; VOC's label 15, a person, is (192, 128, 128)."""
  assert COLORS[[0, 3, 8]].tolist() == [[128, 128, 128], [128, 64, 128], [64, 0, 128]]
  voc = class_colors('voc_segmentation', 21)
  assert voc[[0, 1, 2, 8, 15, 20]].tolist() == [
    [0, 0, 0], [128, 0, 0], [0, 128, 0], [64, 0, 0], [192, 128, 128], [0, 64, 128],
  ]  # fmt: skip
  for dataset, count in (('camvid', 11), ('coco_voc', 21), ('a', 12), ('a', 40)):
    colors = class_colors(dataset, count)
    assert colors.shape == (count + 1, 3) and colors.dtype == np.uint8
    assert len(np.unique(colors, axis=0)) == count + 1
