"""A batch in parts is the batch: its loss, its gradient, one sum over devices."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from symjax.errors import UserError
from symjax.experiments.compilation import hlo
from symjax.experiments.compilation.collectives import find_transfers, summarise
from symjax.models import get_model
from symjax.nn import ConvPolicy
from symjax.training import devices
from symjax.training.images import Augmentation, Normalization
from symjax.training.joint_augmentation import JointAugmentation
from symjax.training.segmentation import Segmentation
from symjax.training.state import create_state
from symjax.training.step import make_train_step
from symjax.training.tasks import Classification

PARTS, BATCH = 4, 16
SHAPE = (6, 5, 3)
NORMALIZATION = Normalization((0.5,) * 3, (0.25,) * 3)
SEGMENTATION = Segmentation(('a', 'b', 'c'), 255, (0.5, 1.0, 2.0))


class Network(nn.Module):
  """A convolution, perhaps BatchNorm, and outputs of each pixel or of the image."""

  pixels: bool = False
  norm: bool = False

  @nn.compact
  def __call__(self, images, *, train):
    dtype = jnp.promote_types(images.dtype, jnp.zeros(()).dtype)
    dense = {'param_dtype': dtype, 'dtype': dtype}
    x = nn.Conv(4, (3, 3), name='conv', **dense)(images)
    if self.norm:
      x = nn.BatchNorm(use_running_average=not train, name='bn', **dense)(x)
    x = nn.Dense(3, name='head', **dense)(nn.tanh(x))
    return x if self.pixels else x.mean((1, 2))


def examples(pixels=False, batch=BATCH):
  rng = np.random.default_rng(0)
  labels = rng.integers(0, 3, (batch, *SHAPE[:2]), np.uint8)
  labels[rng.random(labels.shape) < np.linspace(0, 1, batch)[:, None, None]] = 255
  image = rng.integers(0, 256, (batch, *SHAPE), np.uint8)
  return {'image': image, 'label': labels if pixels else labels[:, 0, 0] % 3}


def make(parts, pixels=False, norm=False):
  model, optimizer = Network(pixels, norm), optax.sgd(1.0)
  state = create_state(model, optimizer, SHAPE, seed=0)
  step = make_train_step(
    model,
    optimizer,
    SEGMENTATION if pixels else Classification(),
    NORMALIZATION,
    JointAugmentation(True, (0.8, 1.2), ignore_label=255)
    if pixels
    else Augmentation(True, shift=2),
    penalty=lambda params: 0.1 * (params['head']['kernel'] ** 2).sum(),
    microbatches=parts,
  )
  return state, step


def over_devices(step):
  return devices.jit(step, devices.make_mesh(BATCH, None, PARTS), donate_state=False)


def assert_equal(found, expected, tolerance=1e-12):
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=tolerance),
    found,
    expected,
  )


@pytest.mark.parametrize('pixels', [False, True])
def test_without_batch_norm_parts_give_the_step_of_the_batch(
  float64, standard_promotion, pixels
):
  """On four devices, float64, 1e-12: also where images have unequal shares of labels.

  Images are augmented by their place in the whole batch, so they are the same.
  """
  state, step = make(PARTS, pixels)
  batch = examples(pixels)
  after, metrics = over_devices(step)(state, batch)
  expected, whole = jax.jit(make(1, pixels)[1])(state, batch)
  assert after.params['conv']['kernel'].dtype == np.float64
  assert_equal(after.params, expected.params)
  assert metrics.keys() == whole.keys()
  # Cross-entropies are float32 at least, and here they are float64.
  assert_equal(metrics, whole)
  moved = jax.tree.map(lambda a, b: abs(a - b).max(), after.params, state.params)
  assert min(jax.tree.leaves(moved)) > 1e-4


@pytest.fixture(scope='module')
def compiled():
  """The step of a network with BatchNorm, over four devices."""
  state, step = make(PARTS, norm=True)
  with jax.numpy_dtype_promotion('standard'):
    return state, over_devices(step).lower(state, examples()).compile()


def test_batch_norm_is_that_of_a_microbatch_over_all_devices(compiled):
  """Part j is every fourth image from j on; its running averages fold in each."""
  state, step = compiled
  batch = examples()
  after, _ = step(
    *jax.device_put((state, batch), step.input_shardings[0]),
  )
  key = jax.random.fold_in(jax.random.fold_in(jax.random.key(0), 1), 0)
  key = jax.random.split(key, 3)[0]
  augment = jax.jit(Augmentation(True, shift=2))
  images, labels = augment(key, batch['image'], batch['label'])
  model, stats = Network(norm=True), state.batch_stats

  def loss(params, stats, images, labels):
    logits, updated = model.apply(
      {'params': params, 'batch_stats': stats},
      NORMALIZATION(images),
      train=True,
      mutable=['batch_stats'],
    )
    losses = Classification().losses(logits, {'label': labels})
    return losses.sum() / BATCH, updated['batch_stats']

  gradient = jax.jit(jax.grad(loss, has_aux=True))
  total = jax.tree.map(jnp.zeros_like, state.params)
  for j in range(PARTS):
    part = images[j::PARTS], labels[j::PARTS]
    gradients, stats = gradient(state.params, stats, *part)
    total = jax.tree.map(jnp.add, total, gradients)
  total['head']['kernel'] += 0.2 * state.params['head']['kernel']
  assert_equal(after.batch_stats, stats, 1e-6)
  found = jax.tree.map(jnp.subtract, state.params, jax.device_get(after.params))
  assert_equal(found, total, 1e-6)


def test_gradients_are_reduced_once_and_no_image_leaves_its_device(compiled):
  """Statistics are sent for every part; all else for the whole step."""
  state, step = compiled
  rows = summarise(find_transfers(hlo.parse(step.as_text()), {'bn'}, PARTS))
  assert {row['kind'] for row in rows} == {'all-reduce'}
  numbers = {row['purpose']: row['numbers'] for row in rows if row['dtype'] == 'f32'}
  size = sum(leaf.size for leaf in jax.tree.leaves(state.params))
  assert numbers['gradients'] == size
  assert numbers['batch statistics'] == PARTS * 2 * 4
  assert numbers['batch statistics, backward'] >= PARTS * 2 * 4
  assert 'other' not in numbers


@pytest.mark.parametrize(
  'name, options',
  [
    ('vgg', {'depth': 11, 'stages': 1, 'head': 'classifier', 'batch_norm': True}),
    ('vgg', {'depth': 11, 'stages': 1, 'policy': ConvPolicy(algorithm='im2col')}),
    ('vgg', {'depth': 11, 'stages': 2, 'policy': ConvPolicy(downsampling='balanced')}),
    ('gcnn', {'depth': 3, 'channels': 2}),
  ],
)
def test_networks_of_the_lab_run_in_parts(standard_promotion, name, options):
  """Dropout, sampled phases, chunked convolutions, statistics shared by a group."""
  width = {} if name == 'gcnn' else {'width': 1 / 16}
  model, optimizer = get_model(name, 3, **width, **options), optax.sgd(1.0)
  state = jax.eval_shape(lambda: create_state(model, optimizer, (12, 12, 3), seed=0))
  step = make_train_step(
    model, optimizer, Classification(), NORMALIZATION, Augmentation(), microbatches=2
  )
  batch = {
    'image': jax.ShapeDtypeStruct((8, 12, 12, 3), jnp.uint8),
    'label': jax.ShapeDtypeStruct((8,), jnp.int32),
  }
  jitted = devices.jit(step, devices.make_mesh(8, None, 2), donate_state=False)
  after, _ = jax.eval_shape(jitted, state, batch)
  assert jax.tree.map(lambda leaf: leaf.shape, after) == jax.tree.map(
    lambda leaf: leaf.shape, state
  )


@pytest.mark.parametrize(
  'batch, parts, line',
  [
    (12, 2, r'batch of 12 .* 2 microbatches on 4 devices; .* train.batch_size=16'),
    (16, 0, 'train.microbatches=0 must be 1 or more'),
    (16, 3, r'3 microbatches on 4 devices; use a multiple of 12, .*=24'),
  ],
)
def test_batches_must_divide_into_parts_on_all_devices(batch, parts, line):
  with pytest.raises(UserError, match=line):
    devices.make_mesh(batch, None, parts)
