"""The audit of strides: published sizes, and sizes that were all tried."""

import pytest

from symjax.errors import UserError
from symjax.models import get_model
from symjax.nn import ConvPolicy, audit


def audit_of(name, size, policy=None, **options):
  size = size if isinstance(size, tuple) else (size, size)
  model = get_model(name, 3, ConvPolicy(**(policy or {})), **options)
  return audit(model, (*size, 3), train=False)


def test_resnet_is_uneven_at_224_in_every_strided_layer():
  """Document A, footnote 1, and "Mind the Pad": a 2^5 + 1 is even, 224 is not."""
  found = audit_of('resnet', 224, depth=18, width=1 / 32)
  assert [row.layer.name for row in found.uneven] == ['conv1', 'maxpool'] + [
    f'layer{stage}_0/{conv}'
    for stage in (2, 3, 4)
    for conv in ('conv1', 'downsample_0')
  ]
  assert found.layers == found.uneven
  assert found.even_sizes == ((193, 225), (193, 225))
  for row in found.layers:
    assert row.slack == (1, 1)
    kernel, _ = row.layer.window.kernel
    if kernel == 1:  # A shortcut never sees the last row and column.
      assert row.dropped == (1, 1)
      assert row.border_read == ((0, 0), (0, 0))
    else:
      assert row.dropped == (0, 0)
      assert row.border_read == ((kernel // 2, kernel // 2 - 1),) * 2


def test_resnet_is_even_at_225():
  found = audit_of('resnet', 225, depth=18, width=1 / 32)
  assert not found.uneven and found.even_sizes == ((225,), (225,))
  assert [row.layer.output_shape[0] for row in found.layers] == [
    113, 57, 29, 29, 15, 15, 8, 8,
  ]  # fmt: skip
  assert all(row.border_read[0][0] == row.border_read[0][1] for row in found.layers)


def test_vgg_is_even_at_multiples_of_32():
  options = dict(depth=11, width=1 / 64)
  assert not audit_of('vgg', 224, **options).uneven
  found = audit_of('vgg', (230, 224), **options)
  assert [row.dropped for row in found.layers] == [
    (0, 0), (1, 0), (1, 0), (0, 0), (0, 0),
  ]  # fmt: skip
  assert found.even_sizes == ((224, 256), (224,))


def test_tensorflows_widths_read_the_other_border():
  found = audit_of('connected', 32, dict(widths='same'), features=(1, 1))
  assert [row.border_read for row in found.uneven] == [((0, 1), (0, 1))] * 2
  assert found.even_sizes == ((29, 33), (29, 33))


@pytest.mark.parametrize(
  'policy, even',
  [
    (dict(downsampling='blur', blur_size=3), True),
    (dict(downsampling='blur', blur_size=4), False),
    (dict(downsampling='aps', blur_size=1, padding='circular'), True),
    (dict(downsampling='aps', blur_size=4), False),
  ],
)
def test_a_blur_between_poolings_of_two_taps_is_even_if_it_has_a_middle(policy, even):
  found = audit_of('vgg', 32, policy, depth=11, width=1 / 64, stages=3)
  kind = 'blur_pool' if policy['downsampling'] == 'blur' else 'aps'
  strided = [row for row in found.layers if row.layer.strided]
  assert [row.layer.kind for row in strided] == [kind] * 3
  assert [all(row.even) for row in strided] == [even] * 3


def test_the_nearest_even_sizes_are_those_that_were_found_by_trying():
  audits = {n: audit_of('connected', n, features=(1, 1)) for n in range(9, 22)}
  even = [n for n, found in audits.items() if not found.uneven]
  assert even == [9, 13, 17, 21]  # a 2^2 + 1.
  for size, found in audits.items():
    nearest = tuple(n for n in even if abs(n - size) < 4)
    assert found.even_sizes == ((size,) if size in even else nearest,) * 2


def test_networks_that_adapt_to_their_maps_are_even_at_every_size():
  for size in (14, 15):
    assert not audit_of('gcnn', size, depth=3, channels=1).uneven


def test_a_network_without_strides_has_nothing_to_audit():
  found = audit_of('archbn', 28)
  assert found.layers == () and found.even_sizes == ((28,), (28,))


def test_images_too_small_are_refused():
  with pytest.raises(UserError, match='features_20: its 2x2 window does not fit a 1x1'):
    audit_of('vgg', 31, depth=11, width=1 / 64)
