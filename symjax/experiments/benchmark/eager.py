"""Riemannian SGD as a PyTorch user would write it, one eager operation at a time."""

import importlib.util
from collections.abc import Callable, Mapping

import jax
import numpy as np


def eager_descent(
  kernels: Mapping[str, jax.Array], gradients: Mapping[str, jax.Array], rate: float
) -> Callable[[], None] | None:
  """The UN update of kernels [h, w, in, out] in PyTorch, which is no dependency.

  Args:
    kernels: name -> filters of norm 1; they are copied as [out, in, h, w].
    gradients: name -> an array like the kernel.
    rate: of learning.

  Returns:
    A function that moves its copies of the kernels once and waits until that is done;
    None where PyTorch, or its CUDA if JAX runs on a GPU, is not there.
  """
  if importlib.util.find_spec('torch') is None:
    return None
  import torch

  on_gpu = jax.default_backend() == 'gpu'
  if on_gpu and not torch.cuda.is_available():
    return None

  def copy(array: jax.Array) -> torch.Tensor:
    contiguous = np.array(np.transpose(array, (3, 2, 0, 1)), order='C')
    return torch.from_numpy(contiguous).to('cuda' if on_gpu else 'cpu')

  pairs = [(copy(kernels[name]), copy(gradients[name])) for name in kernels]

  def descend() -> None:
    with torch.no_grad():
      for w, gradient in pairs:
        along = (w * gradient).sum((1, 2, 3), keepdim=True)
        w.sub_(rate * (gradient - along * w))
        w.div_(torch.linalg.vector_norm(w, dim=(1, 2, 3), keepdim=True))
    if on_gpu:
      torch.cuda.synchronize()

  return descend
