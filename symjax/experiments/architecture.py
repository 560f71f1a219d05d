"""Which published network weights are of, and so the strides of its layers."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from symjax import records
from symjax.checkpoints.names import comparable
from symjax.errors import UserError
from symjax.experiments.workdir import Workdir
from symjax.models import get_model
from symjax.nn import downsampling_marks, trace


class Candidate(NamedTuple):
  """A network that weights may be of.

  Attributes:
    title: in words.
    convolutions: how many it has, those of 1x1 included.
    first: channels of the first one, at its published width.
    taps: the side of the first one's kernel.
    image_size: of its images, in pixels.
    model: name and options of `get_model`.
    normalized: whether BatchNorm follows its convolutions.
    logits: the convolution whose channels are the classes; '' where none is.
  """

  title: str
  convolutions: int
  first: int
  taps: int
  image_size: int
  model: Mapping[str, Any]
  normalized: bool
  logits: str = ''


def _candidates() -> tuple[Candidate, ...]:
  resnets = [
    Candidate(
      f'ResNet-{depth}' + ' with a stem for small images' * (stem == 'cifar'),
      convolutions,
      64,
      taps,
      size,
      {'name': 'resnet', 'depth': depth, 'stem': stem},
      True,
    )
    for depth, convolutions in {18: 20, 34: 36, 50: 53, 101: 104, 152: 155}.items()
    for stem, taps, size in (('imagenet', 7, 224), ('cifar', 3, 32))
  ]
  cifar_resnets = [
    Candidate(
      f'CIFAR ResNet-{depth}',
      depth - 1,
      16,
      3,
      32,
      {'name': 'cifar_resnet', 'depth': depth},
      True,
    )
    for depth in (20, 32, 44, 56, 110)
  ]
  vggs = [
    Candidate(
      f'VGG-{depth}' + ' with BatchNorm' * batch_norm,
      convolutions,
      64,
      3,
      224,
      {'name': 'vgg', 'depth': depth, 'batch_norm': batch_norm},
      batch_norm,
    )
    for depth, convolutions in {11: 8, 13: 10, 16: 13, 19: 16}.items()
    for batch_norm in (False, True)
  ]
  inceptions = [
    Candidate(
      'Inception-v3' + ' without its second head' * (not auxiliary),
      convolutions,
      32,
      3,
      299,
      {'name': 'inception_v3', 'auxiliary': auxiliary},
      True,
    )
    for auxiliary, convolutions in ((True, 96), (False, 94))
  ]
  fcns = [
    Candidate(
      f'fully convolutional network on a ResNet-{depth}'
      + ' without its second head' * (not auxiliary),
      convolutions + 2 + 2 * auxiliary,
      64,
      7,
      224,
      {'name': 'fcn', 'depth': depth, 'auxiliary': auxiliary},
      True,
      'classifier_4',
    )
    for depth, convolutions in {18: 20, 34: 36, 50: 53, 101: 104, 152: 155}.items()
    for auxiliary in (True, False)
  ]
  alexnet = Candidate('AlexNet', 5, 64, 11, 224, {'name': 'alexnet'}, False)
  return (*resnets, *cifar_resnets, *vggs, *inceptions, *fcns, alexnet)


CANDIDATES = _candidates()
# Of one of them each.
_FIRST = ('conv1', 'features_0', 'Conv2d_1a_3x3_conv', 'backbone_conv1')


@dataclasses.dataclass(frozen=True)
class Architecture:
  """The network that weights are of.

  Attributes:
    title: in words.
    normalized: whether BatchNorm follows its convolutions, so that weights without its
      statistics have it folded in. False of a run, which folds nothing.
    names: of the arrays of its convolutions in the file, in the order of layers.
    strides: of these, by name of the array.
    marks: 'at' or 'near', by name of the array, where resolution is lost.
  """

  title: str
  normalized: bool
  names: Sequence[str]
  strides: Mapping[str, int]
  marks: Mapping[str, str]


def architecture_of_run(path: Path) -> Architecture:
  """The network of a workdir, as its records have it.

  Raises:
    UserError: they cannot be read.
  """
  folder = Workdir(path)
  table = records.read_object(folder.layers, 'strides', 'downsampling')
  model = folder.read_config()['model']

  def name(layer: str) -> str:
    return f'params/{layer}/kernel'

  return Architecture(
    title=model['name'],
    normalized=False,
    names=[name(layer) for layer in table['strides']],
    strides={name(layer): stride for layer, stride in table['strides'].items()},
    marks={name(layer): mark for layer, mark in table['downsampling'].items()},
  )


def recognise(arrays: Mapping[str, np.ndarray], layout: str) -> Architecture | None:
  """The network whose convolutions have just these names and shapes.

  Args:
    arrays: by name, of the whole file.
    layout: of its kernels.

  Returns:
    The network, of whatever width and number of classes; None if it is none of
    `CANDIDATES`.
  """
  shapes = {
    name: tuple(array.shape[layout.index(axis)] for axis in 'HWIO')
    for name, array in arrays.items()
    if array.ndim == 4
  }
  by_layer = {comparable(name).rpartition('_')[0]: name for name in shapes}
  for candidate in CANDIDATES:
    if candidate.convolutions == len(by_layer) == len(shapes):
      found = _fits(candidate, by_layer, shapes)
      if found:
        return found
  return None


def _fits(
  candidate: Candidate,
  by_layer: Mapping[str, str],
  shapes: Mapping[str, tuple[int, ...]],
) -> Architecture | None:
  first = next((layer for layer in _FIRST if layer in by_layer), None)
  if first is None:
    return None
  taps, _, channels, features = shapes[by_layer[first]]
  if taps != candidate.taps or candidate.logits not in ('', *by_layer):
    return None
  classes = shapes[by_layer[candidate.logits]][-1] if candidate.logits else 2
  try:
    model = get_model(
      num_classes=classes, width=features / candidate.first, **candidate.model
    )
    side = candidate.image_size
    layers = trace(model, (side, side, channels), train=False)
  except UserError:
    return None
  expected = {
    layer.name: (
      *layer.window.kernel,
      layer.input_shape[-1] // layer.groups,
      layer.output_shape[-1],
    )
    for layer in layers
    if layer.kind == 'conv'
  }
  names = {layer: by_layer.get(comparable(layer), '') for layer in expected}
  if len(names) != len(by_layer) or any(
    shapes.get(name) != expected[layer] for layer, name in names.items()
  ):
    return None
  marks = downsampling_marks(layers)
  return Architecture(
    title=candidate.title,
    normalized=candidate.normalized,
    names=list(names.values()),
    strides={
      names[layer.name]: max(layer.window.stride)
      for layer in layers
      if layer.kind == 'conv'
    },
    marks={names[layer]: mark for layer, mark in marks.items()},
  )
