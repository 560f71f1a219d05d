"""The networks of the documents, by name.

Each has `normalized_kernels`: patterns of the paths of those kernels whose scale the
loss does not depend on, because normalisation follows them. One that is built on a
classifier has `body`: the name of that part.

Published networks have the names of their PyTorch weights. There, a module in a
sequence is named by its index, as in `layer1.0.conv1` and `features.7`; here that
index is joined to the sequence by an underscore, and all else by a slash:
`layer1_0/conv1` and `features_7`. So the names of both agree when dots and slashes are
read as underscores. Sequences are `features`, `classifier`, `aux_classifier`, `layer1`
to `layer4` and `downsample`. SegNet has the names of its Caffe definition.
"""

import dataclasses
from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from symjax.errors import UserError
from symjax.models.alexnet import AlexNet
from symjax.models.archbn import ArchBN
from symjax.models.cifar_resnet import CifarResNet
from symjax.models.connected import Connected
from symjax.models.fcn import FCN
from symjax.models.gcnn import GCNN
from symjax.models.inception import InceptionV3
from symjax.models.resnet import ResNet
from symjax.models.segnet import SegNet
from symjax.models.vgg import VGG
from symjax.nn import ConvPolicy

MODELS: dict[str, type[nn.Module]] = {
  'alexnet': AlexNet,
  'archbn': ArchBN,
  'cifar_resnet': CifarResNet,
  'connected': Connected,
  'fcn': FCN,
  'gcnn': GCNN,
  'inception_v3': InceptionV3,
  'resnet': ResNet,
  'segnet': SegNet,
  'vgg': VGG,
}
DTYPES = ('float32', 'bfloat16', 'float64')


def get_model(
  name: str,
  num_classes: int,
  policy: ConvPolicy = ConvPolicy(),  # noqa: B008 - frozen.
  dtype: str = 'float32',
  **kwargs: Any,
) -> nn.Module:
  """A network, called as `model.apply(variables, images_nhwc, train=False)`.

  Args:
    name: a key of `MODELS`.
    num_classes: logits.
    policy: border of its convolutions and poolings.
    dtype: of the computation, one of `DTYPES`.
    **kwargs: the network's own attributes, such as `depth`.

  Raises:
    UserError: an unknown name or attribute, or a value that makes no network.
  """
  if name not in MODELS:
    raise UserError(f'unknown model {name!r}; choose from {", ".join(sorted(MODELS))}')
  if dtype not in DTYPES:
    raise UserError(f'unknown dtype {dtype!r}; choose from {", ".join(DTYPES)}')
  own = {field.name for field in dataclasses.fields(MODELS[name])}
  own -= {'parent', 'name', 'num_classes', 'policy', 'dtype'}
  for key in kwargs:
    if key not in own:
      raise UserError(f'{name} has no {key!r}; it takes {", ".join(sorted(own))}')
  return MODELS[name](
    num_classes=num_classes, policy=policy, dtype=jnp.dtype(dtype), **kwargs
  )


__all__ = [
  'DTYPES',
  'FCN',
  'GCNN',
  'MODELS',
  'VGG',
  'AlexNet',
  'ArchBN',
  'CifarResNet',
  'Connected',
  'InceptionV3',
  'ResNet',
  'SegNet',
  'get_model',
]
