import numpy as np
import pytest

from symjax import data


def fake(split='train', seed=0, num_examples=200, image_shape=(32, 32, 3)):
  return data.fake_dataset(
    'svhn_cropped',
    split,
    num_classes=10,
    image_shape=image_shape,
    num_examples=num_examples,
    seed=seed,
  )


@pytest.mark.parametrize('image_shape', [(32, 32, 3), (28, 28, 1), (9, 14, 2)])
def test_shapes_and_types(image_shape):
  made = fake(image_shape=image_shape)
  assert made.images.shape == (200, *image_shape)
  assert made.images.dtype == np.uint8
  assert made.labels.dtype == np.int32
  assert set(made.labels) == set(range(10))
  assert 'made-up' in made.description


def test_the_same_call_makes_the_same_images():
  assert (fake().images == fake().images).all()
  assert (fake().images != fake(seed=1).images).any()
  assert (fake().images != fake('test').images).any()


def test_what_one_split_teaches_holds_on_the_other():
  train, test = fake(), fake('test')
  means = np.stack([train.images[train.labels == k].mean(0) for k in range(10)])
  distances = ((test.images[:, None] - means) ** 2.0).sum((2, 3, 4))
  assert (distances.argmin(1) == test.labels).all()


NAMES = ('sky', 'road', 'tree')


def fake_maps(split='train', ignore_label=255):
  return data.fake_segmentation(
    'camvid',
    split,
    class_names=NAMES,
    ignore_label=ignore_label,
    image_shape=(18, 22, 3),
    num_examples=20,
  )


def test_made_up_label_maps_can_be_learned():
  """The colour of a class is the same in both splits, and its own."""
  train, test = fake_maps(), fake_maps('test')
  assert (train.kind, train.num_classes, train.class_names) == (
    'segmentation',
    3,
    NAMES,
  )
  assert train.labels.shape == (20, 18, 22) and train.labels.dtype == np.uint8
  assert (train.labels != test.labels).any()
  colours = np.stack([train.images[train.labels == k].mean(0) for k in range(3)])
  distances = ((test.images[:, :-1, :, None] - colours) ** 2.0).sum(-1)
  assert (distances.argmin(-1) == test.labels[:, :-1]).mean() > 0.9
  assert (test.labels[:, -1] == 255).all()
  assert fake_maps(ignore_label=None).labels.max() == 2
