"""Weights from elsewhere in our models."""

import dataclasses
import difflib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from symjax.checkpoints import names
from symjax.checkpoints.flattened import trace_flattened
from symjax.checkpoints.formats import read
from symjax.checkpoints.torch_axes import from_torch
from symjax.errors import UserError

_LISTED = 3  # Names of a kind in a message.


def load_into(
  model: Any, path: str | Path, input_shape: Sequence[int]
) -> dict[str, Any]:
  """The variables of a model with the weights of a file.

  The file may have the names of PyTorch (torchvision's, those of the CIFAR ResNets),
  whose kernels are put into Flax's order of axes, or those of our models. Batch
  counters are left out.

  Args:
    model: a Flax module, called as `model(images, train=False)`.
    path: as in `read`.
    input_shape: [height, width, channels] of one image.

  Returns:
    `params` and, if there is BatchNorm, `batch_stats`: numpy arrays of the types that
    the model has.

  Raises:
    UserError: the file cannot be read, or has other arrays than the model, which are
      listed.
  """
  match = match_arrays(model, path, read(path), input_shape)
  match.require()
  return names.nest_leaves({name: match.found[name] for name in match.order})


@dataclasses.dataclass
class Match:
  """How the arrays of a file fit a model, or a part of it.

  Attributes:
    path: of the file.
    part: of the model, such as 'backbone'; '' is all of it.
    spell: our path -> its name in files of this kind.
    order: the paths of that part.
    found: our path -> the array, in our order of axes and our type.
    missing: our paths that the file lacks.
    extra: names in the file that the model lacks.
    resized: our path -> the shapes in the file and in the model, which differ.
  """

  path: str | Path
  part: str
  spell: Callable[[str], str]
  order: tuple[str, ...]
  found: dict[str, np.ndarray]
  missing: list[str]
  extra: list[str]
  resized: dict[str, tuple[tuple[int, ...], tuple[int, ...]]]

  def require(self) -> None:
    """Refuses a file that does not fit.

    Raises:
      UserError: naming what each of them lacks.
    """
    complaints = []
    whole = f"the network's {self.part}" if self.part else 'the network'
    if self.missing:
      missing = [self.spell(name) for name in self.missing]
      complaints.append(
        f'the file lacks {len(missing)} of {len(self.order)} arrays ({_some(missing)})'
      )
    if self.extra:
      complaints.append(
        f'{whole} lacks {len(self.extra)} arrays of the file ({_some(self.extra)})'
      )
    if self.resized:
      sizes = [
        f'{self.spell(name)} is {list(theirs)}, not {list(ours)}'
        for name, (theirs, ours) in self.resized.items()
      ]
      complaints.append(f'shapes differ: {_some(sizes)}')
    if self.missing and self.extra:
      wanted = self.spell(self.missing[0])
      nearest = difflib.get_close_matches(wanted, self.extra, n=2, cutoff=0.3)
      if nearest:
        complaints.append(f'the nearest to {wanted} is {" or ".join(nearest)}')
    if complaints:
      raise UserError(f'{self.path} does not fit {whole}: {"; ".join(complaints)}')


def _some(items: Sequence[str]) -> str:
  more = ', ...' if len(items) > _LISTED else ''
  return ', '.join(items[:_LISTED]) + more


def match_arrays(
  model: Any,
  path: str | Path,
  arrays: Mapping[str, np.ndarray],
  input_shape: Sequence[int],
  part: str = '',
) -> Match:
  """Finds the place of every array of a file in a model, or in a part of it.

  Args:
    model: as in `load_into`.
    path: of the file.
    arrays: what it holds.
    input_shape: [height, width, channels] of one image.
    part: name of the module whose own names the file has; '' is the model itself.

  Raises:
    UserError: two arrays have the same name.
  """
  arrays = {k: v for k, v in arrays.items() if not names.is_counter(k)}
  like = abstract_variables(model, input_shape)
  leaves = names.name_leaves(like)
  torch = not names.is_flax(arrays)
  flattened = trace_flattened(model, like, input_shape) if torch else {}
  outside = names.torch_name if torch else names.flax_name
  prefix = part + ('.' if torch else '/') if part else ''

  def spell(path: str) -> str:
    return outside(path).removeprefix(prefix)

  own = [name for name in leaves if outside(name).startswith(prefix)]
  theirs: dict[str, str] = {}
  for name in arrays:
    if other := theirs.get(key := names.comparable(name)):
      raise UserError(f'{path} has two arrays of the same name, {other} and {name}')
    theirs[key] = name

  match = Match(path, part, spell, tuple(own), {}, [], [], {})
  for ours in own:
    leaf, key = leaves[ours], names.comparable(spell(ours))
    if key not in theirs:
      match.missing.append(ours)
      continue
    array = arrays[theirs.pop(key)]
    if torch:
      array = from_torch(array, ours.rpartition('/')[2], flattened.get(ours))
    if array.shape == leaf.shape:
      match.found[ours] = np.asarray(array, leaf.dtype)
    else:
      match.resized[ours] = (array.shape, leaf.shape)
  match.extra = list(theirs.values())
  return match


def abstract_variables(model: Any, input_shape: Sequence[int]) -> Any:
  """The shapes and types of a model's variables; nothing is computed.

  Args:
    model: a Flax module, called as `model(images, train=False)`.
    input_shape: [height, width, channels] of one image.

  Raises:
    UserError: `input_shape` is no such thing, or the model takes no such images.
  """
  if len(input_shape) != 3:
    raise UserError(
      f'input_shape={tuple(input_shape)} is not (height, width, channels) of one image'
    )
  images = jax.ShapeDtypeStruct((1, *input_shape), jnp.float32)

  def initialise(images: jax.Array) -> Any:
    return model.init(jax.random.key(0), images, train=False)

  return jax.eval_shape(initialise, images)
