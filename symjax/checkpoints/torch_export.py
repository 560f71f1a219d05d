"""Our weights under PyTorch's names."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from symjax.checkpoints import names
from symjax.checkpoints.flattened import trace_flattened
from symjax.checkpoints.load import abstract_variables
from symjax.checkpoints.safetensors import write_safetensors
from symjax.checkpoints.torch_axes import to_torch
from symjax.errors import UserError


def export(
  model: Any,
  variables: Mapping[str, Any],
  path: str | Path,
  input_shape: Sequence[int],
) -> None:
  """Writes a model's weights as `.safetensors` with the names and axes of PyTorch.

  torchvision's network of the same name loads them (`load_state_dict`), and so does
  `load_into`, bit for bit.

  Args:
    model: a Flax module, called as `model(images, train=False)`.
    variables: its `params` and `batch_stats`.
    path: of the file, ending in `.safetensors`.
    input_shape: [height, width, channels] of one image.

  Raises:
    UserError: another ending, or a layer that PyTorch has no name for.
    OSError: the file cannot be written.
  """
  path = Path(path)
  if path.suffix != '.safetensors':
    raise UserError(f'{path} is written as .safetensors; end its name so')
  leaves = names.name_leaves(variables)
  for ours, leaf in leaves.items():
    collection, _, rest = ours.partition('/')
    ending = rest.rpartition('/')[2]
    known = ending in names.TORCH_ENDINGS[collection]
    if not known or (ending == 'kernel' and leaf.ndim not in (2, 4)):
      raise UserError(f'{rest} {list(leaf.shape)} has no counterpart in PyTorch')
  # Of the model's own types, which its arithmetic is made for.
  like = abstract_variables(model, input_shape)
  flattened = trace_flattened(model, like, input_shape)
  arrays = {
    names.torch_name(ours): to_torch(
      np.asarray(leaf), ours.rpartition('/')[2], flattened.get(ours)
    )
    for ours, leaf in leaves.items()
  }
  write_safetensors(path, arrays)
