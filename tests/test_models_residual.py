"""Residual blocks against float64 numpy, and under every way to downsample."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from network_reference import batch_norm, correlate, draw_variables, relu

from symjax.models.residual import BasicBlock, Bottleneck, project, subsample
from symjax.nn import Conv, ConvPolicy

XLA = ConvPolicy(algorithm='xla')


def make(block, stride=2, dilations=(1, 1), shortcut=project, policy=XLA, features=6):
  conv = functools.partial(Conv, use_bias=False, policy=policy)
  norm = functools.partial(nn.BatchNorm, momentum=0.9, epsilon=1e-5)
  return block(features, stride, dilations, conv, norm, policy, shortcut)


def reference(block, variables, x):
  """He et al., Fig. 5, with the stride of the bottleneck on its 3x3."""
  params, stats = variables['params'], variables['batch_stats']

  def conv(x, name, stride=1, dilation=1):
    kernel = params[name]['kernel']
    margins = [dilation * (taps - 1) // 2 for taps in kernel.shape[:2]]
    return correlate(x, kernel, stride, margins, dilation)

  def norm(x, name):
    return batch_norm(x, params[name], stats[name], 1e-5)

  first, second = block.dilations
  if isinstance(block, BasicBlock):
    y = relu(norm(conv(x, 'conv1', block.stride, first), 'bn1'))
    y = norm(conv(y, 'conv2', 1, second), 'bn2')
  else:
    y = relu(norm(conv(x, 'conv1'), 'bn1'))
    y = relu(norm(conv(y, 'conv2', block.stride, first), 'bn2'))
    y = norm(conv(y, 'conv3'), 'bn3')
  if 'downsample_0' in params:
    x = norm(conv(x, 'downsample_0', block.stride), 'downsample_1')
  elif x.shape != y.shape:
    new = y.shape[-1] - x.shape[-1]
    x = np.pad(
      x[:, :: block.stride, :: block.stride], ((0, 0),) * 3 + ((new // 2,) * 2,)
    )
  return relu(x + y)


@pytest.mark.parametrize(
  'block, size',
  [
    (make(BasicBlock), (6, 5)),
    (make(BasicBlock, stride=1, dilations=(1, 2), features=4), (6, 5)),
    (make(BasicBlock, shortcut=subsample), (5, 6)),
    (make(Bottleneck), (6, 5)),
    (make(Bottleneck, stride=1, dilations=(2, 2), features=1), (6, 5)),
  ],
)
def test_blocks_equal_numpy(key, block, size):
  x = jax.random.normal(key, (2, *size, 4))
  variables = draw_variables(block, x, None, train=False)
  y = jax.jit(functools.partial(block.apply, train=False))(variables, x, None)
  expected = reference(block, variables, np.asarray(x, np.float64))
  assert y.shape == expected.shape
  np.testing.assert_allclose(y, expected, atol=1e-5 * np.abs(expected).max())


KINDS = {
  'basic': (BasicBlock, project),
  'bottleneck': (Bottleneck, project),
  'option A': (BasicBlock, subsample),
}


@pytest.mark.parametrize('kind', KINDS)
def test_a_blur_of_one_tap_is_a_stride(key, kind):
  """A dense layer of which outputs are left out is a strided one, in both branches."""
  block, shortcut = KINDS[kind]
  x = jax.random.normal(key, (2, 6, 7, 4))
  strided = make(block, shortcut=shortcut)
  dense = make(
    block,
    shortcut=shortcut,
    policy=ConvPolicy(downsampling='blur', blur_size=1, algorithm='xla'),
  )
  variables = draw_variables(strided, x, None, train=False)

  @jax.jit
  def run(variables, x):
    return [block.apply(variables, x, None, train=False) for block in (strided, dense)]

  expected, y = run(variables, x)
  np.testing.assert_allclose(y, expected, atol=1e-5)


@pytest.mark.parametrize('kind', KINDS)
def test_opposite_phases_are_mirror_images_of_each_other(key, kind):
  """Both branches of a balanced block move, and by as much.

  A network of mirrored kernels at one end of its slack sees in a mirrored image what
  the network saw in the image at the other end.
  """
  block, shortcut = KINDS[kind]
  policy = ConvPolicy(downsampling='balanced', algorithm='xla')
  balanced = make(block, shortcut=shortcut, policy=policy)
  x = jax.random.normal(key, (2, 6, 8, 4))
  variables = draw_variables(balanced, x, None, train=False)
  mirrored = jax.tree.map(
    lambda leaf: leaf[::-1, ::-1] if leaf.ndim == 4 else leaf, variables
  )
  run = jax.jit(functools.partial(balanced.apply, train=False))
  low = run(variables, x, np.zeros(2, np.float32))
  high = run(mirrored, x[:, ::-1, ::-1], np.ones(2, np.float32))
  np.testing.assert_allclose(high[:, ::-1, ::-1], low, atol=1e-5)
  assert (
    np.abs(run(mirrored, x[:, ::-1, ::-1], np.zeros(2, np.float32)) - high).max() > 0.1
  )


@pytest.mark.parametrize('kind', KINDS)
def test_polyphase_sampling_keeps_branches_together(key, kind):
  """Circular shifts of a map permute the outputs of a block, and no more."""
  block, shortcut = KINDS[kind]
  policy = ConvPolicy('circular', downsampling='aps', algorithm='xla')
  sampled = make(block, shortcut=shortcut, policy=policy)
  one = jax.random.normal(key, (6, 8, 4))
  x = jnp.stack([jnp.roll(one, shift, (0, 1)) for shift in np.ndindex(2, 2)])
  variables = draw_variables(sampled, x, None, train=False)
  y = np.asarray(
    jax.jit(functools.partial(sampled.apply, train=False))(variables, x, None)
  )
  pixels = np.sort(y.reshape(4, -1, y.shape[-1]), axis=1)
  np.testing.assert_allclose(pixels[1:], pixels[:1].repeat(3, 0), atol=1e-5)
