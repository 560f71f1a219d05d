"""Our weights under PyTorch's names."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from symjax.checkpoints import names
from symjax.checkpoints.flattened import trace_flattened
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
  flattened = trace_flattened(model, variables, input_shape)
  arrays = {}
  for ours, leaf in names.name_leaves(variables).items():
    collection, _, rest = ours.partition('/')
    ending = rest.rpartition('/')[2]
    if ending not in names.TORCH_ENDINGS[collection] or (
      ending == 'kernel' and leaf.ndim not in (2, 4)
    ):
      raise UserError(f'{rest} {list(leaf.shape)} has no counterpart in PyTorch')
    array = to_torch(np.asarray(leaf), ending, flattened.get(ours))
    arrays[names.torch_name(ours)] = array
  write_safetensors(path, arrays)
