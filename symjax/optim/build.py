"""An optimiser by name."""

import jax
import optax

from symjax.errors import UserError

OPTIMIZERS = ('sgd', 'adamw')


def make_optimizer(
  learning_rate: optax.ScalarOrSchedule,
  name: str = 'sgd',
  momentum: float = 0.9,
  weight_decay: float = 0.0,
) -> optax.GradientTransformation:
  """The optimiser of a whole network.

  Args:
    learning_rate: a rate, or a rate over steps.
    name: 'sgd', with heavy-ball momentum and decay added to the gradient as PyTorch
      does; or 'adamw' (arXiv:1711.05101), with decoupled decay.
    momentum: of SGD; the first moment's decay (beta 1) of AdamW.
    weight_decay: applied to kernels, not to biases and BatchNorm's scales.

  Raises:
    UserError: an unknown name.
  """
  if name == 'sgd':
    return optax.chain(
      optax.add_decayed_weights(weight_decay, mask=kernels),
      optax.sgd(learning_rate, momentum),
    )
  if name == 'adamw':
    return optax.adamw(
      learning_rate, b1=momentum, weight_decay=weight_decay, mask=kernels
    )
  raise UserError(f'unknown optimizer {name!r}; choose from {", ".join(OPTIMIZERS)}')


def kernels(params: optax.Params) -> optax.Params:
  """A tree of booleans: whether a parameter is a kernel, of rank 2 or more."""
  return jax.tree.map(lambda leaf: leaf.ndim > 1, params)
