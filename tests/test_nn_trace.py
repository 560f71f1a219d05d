import functools

import jax.numpy as jnp
from flax import linen as nn

from symjax.models import get_model
from symjax.nn import (
  Conv,
  ConvPolicy,
  MaxPool,
  Window,
  downsampling_marks,
  smallest_image,
  total_stride,
  trace,
)


class Linen(nn.Module):
  """A network of somebody else's, in linen's own layers."""

  @nn.compact
  def __call__(self, x):
    x = nn.Conv(4, (3, 3), 2, name='same')(x)
    x = nn.Conv(4, (3, 3), padding='CIRCULAR', name='circular')(x)
    x = nn.max_pool(x, (2, 2), (2, 2))
    x = nn.Conv(4, (5, 5), padding=2, name='explicit')(x)
    return nn.Conv(4, (3, 1), padding='VALID', name='valid')(x)


def test_linen_convolutions_report_the_windows_they_use():
  table = trace(Linen(), (16, 16, 3))
  assert [layer.name for layer in table] == ['same', 'circular', 'explicit', 'valid']
  assert [layer.window for layer in table] == [
    Window((3, 3), (2, 2), ((0, 1), (0, 1))),
    Window((3, 3), (1, 1), ((1, 1), (1, 1))),
    Window((5, 5), (1, 1), ((2, 2), (2, 2))),
    Window((3, 1), (1, 1), ((0, 0), (0, 0))),
  ]
  for layer in table:
    assert layer.window.output_size(layer.input_shape[:2]) == layer.output_shape[:2]
  assert downsampling_marks(table) == {'same': 'at', 'explicit': 'near'}


class Residual(nn.Module):
  """Two branches that meet: the order of the table is that of the calls."""

  policy: ConvPolicy

  @nn.compact
  def __call__(self, x):
    conv = functools.partial(Conv, policy=self.policy)
    x = MaxPool((3, 3), (2, 2), ((1, 1), (1, 1)), self.policy, name='pool')(x)
    y = conv(4, strides=(2, 2), name='main')(x)
    return y + conv(4, (1, 1), (2, 2), name='shortcut')(x)


def test_policies_reach_every_window():
  explicit = trace(Residual(ConvPolicy()), (16, 16, 3))
  same = trace(Residual(ConvPolicy(widths='same')), (16, 16, 3))
  assert [layer.window.widths[0] for layer in explicit] == [(1, 1), (1, 1), (0, 0)]
  assert [layer.window.widths[0] for layer in same] == [(0, 1), (0, 1), (0, 0)]
  assert explicit[0].kind == 'max_pool'
  assert downsampling_marks(explicit) == {'main': 'at', 'shortcut': 'at'}


def test_total_strides_count_branches_once():
  assert total_stride(trace(Residual(ConvPolicy()), (16, 12, 3))) == (4, 4)
  vgg = get_model('vgg', 10, depth=11, width=1 / 64, policy=ConvPolicy('valid'))
  assert total_stride(trace(vgg, (200, 210, 3), train=False)) == (32, 32)
  assert total_stride(()) == (1, 1)


def test_vgg_marks_the_convolutions_behind_its_poolings():
  table = trace(get_model('vgg', 10, depth=11, width=0.25), (32, 32, 3), train=False)
  assert downsampling_marks(table) == {
    name: 'near' for name in ('features_3', 'features_6', 'features_11', 'features_16')
  }


def test_smallest_image_is_the_smallest():
  for policy, expected in ((ConvPolicy(), 32), (ConvPolicy('valid'), 212)):
    model = get_model('vgg', 10, depth=16, width=1 / 64, policy=policy)
    assert smallest_image(model, 3, train=False) == expected
  assert smallest_image(model, 3, limit=100, train=False) is None


def test_tracing_computes_nothing():
  """A network of 138 million parameters is traced without making one of them."""
  table = trace(get_model('vgg', 1000), (224, 224, 3), train=False)
  assert len(table) == 18
  assert all(isinstance(layer.input_shape[0], int) for layer in table)
  assert jnp.prod(jnp.array(table[-1].output_shape)) == 7 * 7 * 512
