"""The benchmark's training steps as a PyTorch user would write them."""

import importlib.util
import os
from collections.abc import Callable
from typing import Any

import jax
import numpy as np


def torch_training(
  name: str, batch: int, shape: tuple[int, int, int], classes: int
) -> Callable[[], None] | None:
  """A step of plain SGD in PyTorch, which is no dependency.

  Args:
    name: 'vgg16' (with BatchNorm, one dense layer) or 'resnet18_blocks'.
    batch: images.
    shape: [height, width, channels] of an image.
    classes: logits.

  Returns:
    A function that trains for one step and waits until that is done; None where
    PyTorch, or its CUDA if JAX runs on a GPU, is not there.
  """
  if importlib.util.find_spec('torch') is None:
    return None
  import torch

  on_gpu = jax.default_backend() == 'gpu'
  if on_gpu and not torch.cuda.is_available():
    return None
  torch.set_num_threads(os.cpu_count() or 1)
  place: Any = {'device': 'cuda' if on_gpu else 'cpu'}
  layers = {'vgg16': _vgg, 'resnet18_blocks': _resnet}[name](torch.nn, classes)
  model = layers.to(**place, memory_format=torch.channels_last)
  optimizer = torch.optim.SGD(model.parameters(), 0.01)
  rng = np.random.default_rng(0)
  height, width, channels = shape
  images = rng.standard_normal((batch, channels, height, width), np.float32)
  x = torch.from_numpy(images).to(**place, memory_format=torch.channels_last)
  labels = torch.from_numpy(rng.integers(0, classes, batch)).to(**place)

  def train() -> None:
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(x), labels).backward()
    optimizer.step()
    if on_gpu:
      torch.cuda.synchronize()

  return train


def _vgg(nn: Any, classes: int) -> Any:
  layers: list[Any] = []
  channels = 3
  for convolutions, width in zip(
    (2, 2, 3, 3, 3), (64, 128, 256, 512, 512), strict=True
  ):
    for _ in range(convolutions):
      layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width)]
      layers += [nn.ReLU()]
      channels = width
    layers += [nn.MaxPool2d(2)]
  return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels, classes))


def _resnet(nn: Any, classes: int) -> Any:
  class Block(nn.Module):
    def __init__(self, channels: int, width: int, stride: int) -> None:
      super().__init__()
      self.body = nn.Sequential(
        nn.Conv2d(channels, width, 3, stride, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, 1, 1, bias=False),
        nn.BatchNorm2d(width),
      )
      self.shortcut = nn.Sequential()
      if stride > 1:
        convolution = nn.Conv2d(channels, width, 1, stride, bias=False)
        self.shortcut = nn.Sequential(convolution, nn.BatchNorm2d(width))

    def forward(self, x: Any) -> Any:
      return nn.functional.relu(self.shortcut(x) + self.body(x))

  layers = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
  layers += [nn.MaxPool2d(3, 2, 1)]
  channels = 64
  for width in (64, 128, 256, 512):
    layers += [Block(channels, width, 2 if width > 64 else 1), Block(width, width, 1)]
    channels = width
  layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)]
  return nn.Sequential(*layers)
