"""Strided layers against the others of their network."""

import dataclasses
import math
import pathlib

import numpy as np
import pytest

from symjax import symmetry
from symjax.experiments.strided import (
  compare_over_networks,
  comparison_line,
  contrast_line,
  contrast_strided,
  lean,
)
from symjax.experiments.weights import measure_weights

REAL = pathlib.Path(__file__).parents[2] / 'shared' / 'data' / 'weights'


def profile(seed, count=5, stride=2):
  """Of random kernels, each second layer of which is strided."""
  rng = np.random.default_rng(seed)
  kernels = {f'conv{i}': rng.standard_normal((3, 3, 4, 4)) for i in range(count)}
  strides = {name: stride if i % 2 else 1 for i, name in enumerate(kernels)}
  return symmetry.profile(kernels, strides=strides).to_json()


@pytest.mark.parametrize(
  'corner, expected',
  [((0, 0), math.sqrt(2)), ((2, 2), -math.sqrt(2)), ((0, 2), 0), ((1, 1), 0)],
)
def test_the_lean_is_toward_the_top_left(corner, expected):
  kernel = np.zeros((3, 3, 1, 1), np.float32)
  kernel[corner] = 1
  (layer,) = symmetry.profile({'conv': kernel}).to_json()['layers']
  assert lean(layer) == pytest.approx(expected, abs=1e-6)


def test_a_mirrored_network_leans_the_other_way():
  rng = np.random.default_rng(0)
  kernels = {f'conv{i}': rng.standard_normal((3, 3, 4, 4)) for i in range(4)}
  strides = dict(zip(kernels, (1, 2, 1, 2), strict=True))
  mirrored = {name: kernel[::-1, ::-1] for name, kernel in kernels.items()}
  found, other = (
    contrast_strided(symmetry.profile(one, strides=strides).to_json())
    for one in (kernels, mirrored)
  )
  assert other['lean'].strided == pytest.approx(-found['lean'].strided, abs=1e-6)
  assert other['lean'].p == found['lean'].p
  assert other['score'].strided == pytest.approx(found['score'].strided, abs=1e-6)


def test_a_contrast_is_of_means_over_layers():
  content = profile(0)
  scores = [layer['score'] for layer in content['layers']]
  found = contrast_strided(content)['score']
  assert found.counts == (2, 3)
  assert found.strided == pytest.approx((scores[1] + scores[3]) / 2)
  assert found.others == pytest.approx((scores[0] + scores[2] + scores[4]) / 3)
  assert 'strided 3x3 layers against the others (2 and 3): S ' in contrast_line(
    contrast_strided(content)
  )


def test_layers_of_unknown_stride_are_left_out():
  content = profile(0)
  known = contrast_strided(content)
  stranger = {**content['layers'][0], 'name': 'stranger', 'stride': None}
  assert contrast_strided({'layers': [*content['layers'], stranger]}) == known


def test_without_both_kinds_of_layers_there_is_no_contrast():
  assert contrast_strided(profile(0, stride=1)) is None
  assert contrast_strided({'layers': []}) is None
  strided = [layer for layer in profile(0)['layers'] if layer['stride'] == 2]
  assert contrast_strided({'layers': strided}) is None


def test_layers_of_another_kernel_size_are_left_out():
  # Random kernels of 7x7 score lower and may lean further than those of 3x3.
  content = profile(0)
  rng = np.random.default_rng(1)
  (large,) = symmetry.profile(
    {'stem': rng.standard_normal((7, 7, 3, 8))}, strides={'stem': 2}
  ).to_json()['layers']
  mixed = {'layers': [large, *content['layers']]}
  assert contrast_strided(mixed) == contrast_strided(content)
  assert contrast_strided({'layers': [large, content['layers'][0]]}) is None


def test_p_is_the_share_of_ways_to_deal_the_layers():
  def layer(stride, score, skew):
    return {'kernel': [3, 3], 'stride': stride, 'score': score, 'skew': [skew, skew]}

  strided = [layer(2, 0.9, -0.4), layer(2, 0.8, -0.5)]
  others = [layer(1, 0.1 * i, 0.1 * i) for i in range(3)]
  found = contrast_strided({'layers': strided + others})
  for one in found.values():  # Two of five on one side, or on the other.
    assert one.p == pytest.approx(2 / math.comb(5, 2))
  assert contrast_line(found) == (
    'strided 3x3 layers against the others (2 and 3): S 0.850 and 0.100, p = 0.2; '
    'lean to the top left +0.64 and -0.14 taps, p = 0.2 (rank tests over layers)'
  )


def test_networks_with_the_strides_swapped_differ_the_other_way():
  contrasts = [contrast_strided(profile(seed)) for seed in range(4)]
  swapped = [
    {
      name: dataclasses.replace(one, strided=one.others, others=one.strided)
      for name, one in contrast.items()
    }
    for contrast in contrasts
  ]
  found, other = compare_over_networks(contrasts), compare_over_networks(swapped)
  for name in ('score', 'lean'):
    differences = [one[name].strided - one[name].others for one in contrasts]
    assert found[name].mean_difference == pytest.approx(np.mean(differences))
    assert other[name].mean_difference == pytest.approx(-np.mean(differences))
    assert other[name].p == pytest.approx(found[name].p)
  line = comparison_line(found, ['a', 'b', 'c', 'd'])
  assert f'4 networks (a, b, c, d): S {found["score"].mean_difference:+.3f} ' in line
  assert f'top left {found["lean"].mean_difference:+.2f} taps' in line


@pytest.mark.skipif(not REAL.exists(), reason='the real weights are not at hand')
def test_strided_layers_of_a_real_network_lean_to_the_padded_corner():
  found = contrast_strided(measure_weights(REAL / 'resnet20-12fca82f.th').profile)
  # Both of two, and to that side; that S is lower there is not seen.
  assert found['lean'].strided > 0.25 > abs(found['lean'].others)
  assert found['lean'].p < 0.05 < found['score'].p
