import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np

from symjax.models import get_model
from symjax.nn import ConvPolicy, Downsample
from symjax.nn.polyphase import components, largest, select

CIRCULAR = ConvPolicy('circular', algorithm='xla')
APS = dataclasses.replace(CIRCULAR, downsampling='aps', blur_size=3)


def all_shifts(image):
  """[height * width, height, width, channels] circular shifts of one image."""
  places = itertools.product(*map(range, image.shape[:2]))
  return np.stack([np.roll(image, place, (0, 1)) for place in places])


def test_components_are_the_grids_of_the_stride():
  x = np.random.default_rng(0).standard_normal((2, 6, 5, 3), np.float32)
  parts = jax.jit(components, static_argnums=1)(x, (3, 2))
  assert parts.shape == (2, 6, 2, 3, 3)
  whole = np.concatenate([x, x[:, :, :1]], axis=2)  # An odd side goes round.
  for row, column in itertools.product(range(3), range(2)):
    np.testing.assert_array_equal(
      parts[:, 2 * row + column], whole[:, row::3, column::2]
    )


def test_each_example_keeps_its_own_largest_component():
  parts = np.random.default_rng(0).standard_normal((5, 4, 3, 3, 2), np.float32)
  norms = np.linalg.norm(parts.astype(np.float64).reshape(5, 4, -1), axis=2)
  index = jax.jit(largest)(parts)
  np.testing.assert_array_equal(index, norms.argmax(axis=1))
  kept = np.linalg.norm(
    np.asarray(jax.jit(select)(parts, index)).reshape(5, -1), axis=1
  )
  np.testing.assert_allclose(kept, norms.max(axis=1), rtol=1e-6)


def test_equal_components_keep_the_first():
  """A flat map, whose shifts are all the same, has no choice to make."""
  assert largest(jnp.ones((2, 4, 3, 3, 1))).tolist() == [0, 0]


def test_shifts_of_a_map_keep_the_same_pixels():
  """Shifting the map by the stride shifts the result by one, by less not at all."""
  shifted = all_shifts(np.random.default_rng(0).standard_normal((6, 8, 2), np.float32))
  kept = np.asarray(jax.jit(Downsample((2, 2), APS).apply)({}, shifted)).reshape(
    6, 8, 3, 4, 2
  )
  contents = np.sort(kept.reshape(48, -1), axis=1)
  np.testing.assert_allclose(
    contents, np.broadcast_to(contents[:1], (48, 24)), atol=1e-6
  )
  for down, right in itertools.product(range(4), range(6)):
    np.testing.assert_allclose(
      kept[down + 2, right + 2], np.roll(kept[down, right], (1, 1), (0, 1)), atol=1e-6
    )


def test_logits_do_not_change_under_any_circular_shift(key):
  """Of a VGG of two stages, where those of a strided one do."""
  images = all_shifts(np.random.default_rng(0).standard_normal((8, 8, 3), np.float32))
  options = dict(depth=11, stages=2, width=1 / 16, head='average')
  variables = jax.jit(get_model('vgg', 3, CIRCULAR, **options).init)(key, images[:1])
  spreads = {}
  for name, policy in (('aps', APS), ('stride', CIRCULAR)):
    model = get_model('vgg', 3, policy=policy, **options)
    logits = np.asarray(jax.jit(model.apply)(variables, images))
    spreads[name] = np.ptp(logits, axis=0).max() / np.abs(logits).max()
  assert spreads['aps'] < 1e-5
  assert spreads['stride'] > 0.05


def test_branches_keep_the_component_of_the_main_one():
  rng = np.random.default_rng(0)
  main, shortcut = rng.standard_normal((2, 4, 6, 6, 2), np.float32)
  policy = ConvPolicy(downsampling='aps', blur_size=1)
  layer = Downsample((2, 2), policy)
  phase = jax.jit(layer.phase)(main)
  kept = jax.jit(lambda *maps: [layer.apply({}, x, phase) for x in maps])
  kept_main, kept_shortcut = kept(main, shortcut)
  assert len(set(phase.tolist())) > 1
  for image, index in enumerate(phase):
    row, column = divmod(int(index), 2)
    for x, y in ((main, kept_main), (shortcut, kept_shortcut)):
      np.testing.assert_array_equal(y[image], x[image, row::2, column::2])
  np.testing.assert_array_equal(jax.jit(layer.apply)({}, main), kept_main)
