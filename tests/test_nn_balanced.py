"""Balanced pooling, against windows that are laid out and read one by one."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from symjax.errors import UserError
from symjax.nn import (
  MODES,
  Conv,
  ConvPolicy,
  MaxPool,
  Window,
  sampling_phase,
)
from symjax.nn.balanced import CORNERS

NUMPY_MODES = {'reflect': 'reflect', 'symmetric': 'symmetric', 'replicate': 'edge'}
NUMPY_MODES |= {'circular': 'wrap', 'zero': 'constant', 'partial': 'constant'}
PHASES = {0: 0.2, 1: 0.7}  # Of a slack of 1, by the shift that they mean.
BALANCED = ConvPolicy(downsampling='balanced')


def grid(window, size):
  """The pixels that each position of a window reads along one axis."""
  (low, high), reach = window.widths[0], window.dilation[0] * (window.kernel[0] - 1)
  starts = range(-low, size + high - reach, window.stride[0])
  return [
    [start + window.dilation[0] * tap for tap in range(window.kernel[0])]
    for start in starts
  ]


@pytest.mark.parametrize('kernel', [1, 2, 3, 7])
@pytest.mark.parametrize('stride', [1, 2, 3, 4])
def test_the_grids_of_all_shifts_are_together_their_own_mirror_image(kernel, stride):
  """What training sees on average treats both ends alike, at every size."""
  for size, margin, dilation in itertools.product(range(13, 17), (0, 1, 3), (1, 2)):
    widths = ((margin, margin), (margin, margin))
    window = Window((kernel,) * 2, (stride,) * 2, widths, (dilation,) * 2)
    slack = window.slack((size, size))
    grids = []
    for shift in range(slack[0] + 1):
      moved = window.shifted((size, size), (shift, shift))
      assert moved.slack((size, size)) == (0, 0)
      assert moved.output_size((size, size)) == window.output_size((size, size))
      grids.append(grid(moved, size))
    mirrored = [[[size - 1 - p for p in r[::-1]] for r in g[::-1]] for g in grids]
    assert sorted(mirrored) == sorted(grids)
    assert grids[0] == grid(window, size)


def read(x, kernel, bias, mode, shift, dilation):
  """A 3-tap convolution at stride 2 whose grid begins `shift` pixels later."""
  x, kernel, bias = (np.asarray(value, np.float64) for value in (x, kernel, bias))
  border = ((0, 0), *((dilation, dilation),) * 2, (0, 0))
  inside = np.pad(np.ones(x.shape), border)
  x = np.pad(x, border, mode=NUMPY_MODES[mode])
  count = [(n - 2 * dilation - 1) // 2 + 1 for n in x.shape[1:3]]
  y = np.zeros((len(x), *count, kernel.shape[3]))
  for i, j in itertools.product(*map(range, count)):
    rows, columns = (
      start + dilation * np.arange(3) for start in (2 * i + shift[0], 2 * j + shift[1])
    )
    summed = np.einsum('bhwi,hwio->bo', x[:, rows][:, :, columns], kernel)
    if mode == 'partial':
      summed *= 9 / inside[0, rows][:, columns, 0].sum()
    y[:, i, j] = summed + bias
  return y


@pytest.mark.parametrize(
  'mode, dilation', [(m, 1) for m in NUMPY_MODES] + [('reflect', 2), ('partial', 2)]
)
def test_a_phase_moves_the_grid_and_nothing_else(float64, key, mode, dilation):
  """An even axis has two grids, an odd one has one: 8x7."""
  x = jax.random.normal(key, (2, 8, 7, 3), jnp.float64)
  layer = Conv(
    4,
    strides=(2, 2),
    dilation=(dilation, dilation),
    policy=ConvPolicy(mode, downsampling='balanced', algorithm='xla'),
    bias_init=jax.nn.initializers.normal(),
    param_dtype=jnp.float64,
  )
  variables = layer.init(key, x)
  apply = jax.jit(layer.apply)
  weights = variables['params']['kernel'], variables['params']['bias']
  for shift, phase in PHASES.items():
    y = apply(variables, x, jnp.array([phase, 0.9]))
    expected = read(x, *weights, mode, (shift, 0), dilation)
    np.testing.assert_allclose(y, expected, atol=1e-6 if mode == 'partial' else 1e-12)


def test_evaluation_is_fixed_alternating_or_average():
  rng = np.random.default_rng(0)
  x = rng.standard_normal((2, 8, 8, 3), np.float32)
  params = {
    'kernel': rng.standard_normal((3, 3, 3, 4), np.float32),
    'bias': rng.standard_normal(4, np.float32),
  }

  @jax.jit
  def run(x):
    policies = {
      'strided': ConvPolicy(algorithm='xla'),
      'fixed': dataclasses.replace(BALANCED, algorithm='xla'),
      'average': dataclasses.replace(
        BALANCED, algorithm='xla', balanced_evaluation='average'
      ),
    }
    layers = {k: Conv(4, strides=(2, 2), policy=p) for k, p in policies.items()}
    found = {k: layer.apply({'params': params}, x) for k, layer in layers.items()}
    corners = [
      layers['fixed'].apply({'params': params}, x, jnp.array(corner))
      for corner in CORNERS
    ]
    return found, corners

  found, corners = jax.tree.map(np.asarray, run(x))
  np.testing.assert_array_equal(found['fixed'], found['strided'])
  np.testing.assert_allclose(corners[0], found['strided'], atol=1e-5)
  np.testing.assert_allclose(found['average'], np.mean(corners, axis=0), atol=1e-5)
  assert len({corner.tobytes() for corner in corners}) == 4


def test_alternation_goes_round_the_corners():
  policy = ConvPolicy(downsampling='balanced', balanced_evaluation='alternate')
  phases = [sampling_phase(nn.Module(), policy, index, False) for index in range(8)]
  np.testing.assert_array_equal(phases[:4], CORNERS)
  np.testing.assert_array_equal(phases[4:], CORNERS)
  assert sampling_phase(nn.Module(), BALANCED, 1, False) is None
  assert sampling_phase(nn.Module(), ConvPolicy(), 1, True) is None


@pytest.mark.parametrize('mode', [mode for mode in MODES if mode != 'valid'])
def test_branches_of_a_residual_block_stay_aligned(mode):
  """A 3x3 kernel that is 1 in its middle is the 1x1 shortcut, at every phase."""
  x = np.random.default_rng(0).standard_normal((1, 6, 6, 1), np.float32)
  policy = ConvPolicy(mode, downsampling='balanced', algorithm='xla')
  options = dict(strides=(2, 2), use_bias=False, policy=policy)
  middle = np.pad(np.ones((1, 1, 1, 1), np.float32), ((1, 1), (1, 1), (0, 0), (0, 0)))

  @jax.jit
  def branches(x, phase):
    return [
      Conv(1, kernel.shape[:2], **options).apply(
        {'params': {'kernel': kernel}}, x, phase
      )
      for kernel in (middle, np.ones((1, 1, 1, 1), np.float32))
    ]

  for phase in ([0.1, 0.9], [0.9, 0.1]):
    main, shortcut = branches(x, np.array(phase, np.float32))
    inner = (
      slice(1, -1) if mode == 'partial' else slice(None)
    )  # Rescaled at the border.
    np.testing.assert_array_equal(main[:, inner, inner], shortcut[:, inner, inner])
    down, right = (round(t) for t in phase)
    np.testing.assert_array_equal(shortcut, x[:, down::2, right::2])


@pytest.mark.parametrize('size', [33, 225])
def test_sizes_without_slack_have_nothing_to_draw(size):
  x = np.random.default_rng(0).standard_normal((1, size, 9, 1), np.float32)
  layer = MaxPool((3, 3), (2, 2), ((1, 1), (1, 1)), BALANCED)

  @jax.jit
  def both(x):
    strided = layer.clone(policy=ConvPolicy()).apply({}, x)
    return layer.apply({}, x, jnp.array([0.9, 0.9])), strided

  np.testing.assert_array_equal(*both(x))


def test_pooling_never_picks_its_border():
  x = -jnp.arange(1.0, 17.0).reshape(1, 4, 4, 1)
  layer = MaxPool((3, 3), (2, 2), ((1, 1), (1, 1)), BALANCED)
  y = layer.apply({}, x, jnp.array([0.0, 0.9]))
  np.testing.assert_array_equal(y[0, :, :, 0], [[-1, -3], [-5, -7]])


class Block(nn.Module):
  """A pooling that draws its phase, and says which."""

  @nn.compact
  def __call__(self, x, train):
    phase = sampling_phase(self, BALANCED, 0, train)
    return MaxPool(policy=BALANCED)(x, phase), phase


def test_all_devices_share_the_phase_of_a_step(key):
  """Four devices hold one of four equal images each, and pool them alike."""
  mesh = jax.make_mesh((4,), ('data',), axis_types=(AxisType.Auto,))
  x = jnp.broadcast_to(jax.random.normal(key, (1, 9, 9, 1)), (4, 9, 9, 1))
  split = NamedSharding(mesh, PartitionSpec('data'))
  step = jax.jit(
    lambda x, key: Block().apply({}, x, True, rngs={'phase': key}),
    in_shardings=(split, None),
    out_shardings=(split, None),
  )
  drawn = []
  for index in range(8):
    y, phase = step(jax.device_put(x, split), jax.random.key(index))
    down, right = (int(t * 2) for t in phase)
    tiles = x[:, down : down + 8, right : right + 8].reshape(4, 4, 2, 4, 2, 1)
    np.testing.assert_array_equal(y, tiles.max(axis=(2, 4)))
    drawn.append((down, right))
  assert len(set(drawn)) > 2


def test_widths_that_leave_no_slack_are_refused():
  with pytest.raises(UserError, match="'same' leave none; use widths 'explicit'"):
    ConvPolicy(widths='same', downsampling='balanced')
