"""An optimiser by name, for all the parameters of a network."""

import math
from collections.abc import Sequence

import jax
import optax

from symjax.errors import UserError
from symjax.optim.filters import normalize_filters
from symjax.optim.riemannian_sgd import riemannian_sgd
from symjax.optim.rules import Rules, by_path, label_parameters

OPTIMIZERS = ('sgd', 'adamw', 'unit_norm')


def make_optimizer(
  learning_rate: optax.ScalarOrSchedule,
  name: str = 'sgd',
  momentum: float = 0.9,
  weight_decay: float = 0.0,
  normalized_kernels: Sequence[str] = (),
  rate_factors: Sequence[tuple[str, float]] = (),
  clip_norm: float | None = None,
) -> optax.GradientTransformation:
  """The optimiser of a whole network.

  Args:
    learning_rate: a rate, or a rate over steps.
    name: 'sgd', with heavy-ball momentum and decay added to the gradient as PyTorch
      does; 'adamw' (arXiv:1711.05101), with decoupled decay; or 'unit_norm'
      (arXiv:1511.01029), which is `riemannian_sgd` on the kernels that normalisation
      follows, and 'sgd' on all the rest. It begins with `start_on_sphere`.
    momentum: of SGD, and 0 is none; the first moment's decay (beta 1) of AdamW.
    weight_decay: applied to kernels, not to biases and BatchNorm's scales, nor to
      filters on the sphere, where it would be without effect.
    normalized_kernels: patterns of the paths of kernels that normalisation follows,
      as the models have them; only 'unit_norm' asks.
    rate_factors: (pattern of paths, factor of the rate), the first that fits a
      parameter; that of all others is 1.
    clip_norm: the norm of all gradients together from which on they are scaled down to
      it (arXiv:1211.5063), as the batch gives them: before decay is added and before
      'unit_norm' takes what is tangent to a sphere. None never scales.

  Raises:
    UserError: an unknown name, a factor or norm that is not positive, or 'unit_norm'
      for a network without such kernels; from `init`, a pattern that puts something
      else than a kernel on a sphere.
  """
  optimizer = _at_rates(
    learning_rate, name, momentum, weight_decay, normalized_kernels, rate_factors
  )
  if clip_norm is None:
    return optimizer
  if not 0 < clip_norm < math.inf:
    raise UserError(
      f'optimizer.clip_norm={clip_norm} must be positive; None is no clipping'
    )
  return optax.chain(optax.clip_by_global_norm(clip_norm), optimizer)


def _at_rates(
  learning_rate: optax.ScalarOrSchedule,
  name: str,
  momentum: float,
  weight_decay: float,
  normalized_kernels: Sequence[str],
  rate_factors: Sequence[tuple[str, float]],
) -> optax.GradientTransformation:
  """The optimiser of parameters with or without rates of their own."""

  def at(rate: optax.ScalarOrSchedule) -> optax.GradientTransformation:
    return _at_one_rate(rate, name, momentum, weight_decay, normalized_kernels)

  if not rate_factors:
    return at(learning_rate)
  for row in rate_factors:
    match row:
      case (str() as pattern, int() | float() as factor):
        if not 0 < factor < math.inf:
          raise UserError(
            f'optimizer.rate_factors has {factor} for {pattern!r}; a factor is positive'
          )
      case _:
        raise UserError(
          f'optimizer.rate_factors has {row!r}; give pairs of a pattern of paths and a '
          "number, such as (('head.*', 10.0),)"
        )
  scaled = {
    str(factor): at(_times(factor, learning_rate)) for _, factor in rate_factors
  }
  rules = [(pattern, str(factor)) for pattern, factor in rate_factors]
  return by_path({**scaled, 'rest': at(learning_rate)}, (*rules, ('.*', 'rest')))


def _times(factor: float, rate: optax.ScalarOrSchedule) -> optax.ScalarOrSchedule:
  """A rate, or a rate over steps, times a factor."""
  if callable(rate):
    return lambda step: factor * rate(step)
  return factor * rate


def _at_one_rate(
  learning_rate: optax.ScalarOrSchedule,
  name: str,
  momentum: float,
  weight_decay: float,
  normalized_kernels: Sequence[str],
) -> optax.GradientTransformation:
  """The optimiser of parameters that share a rate; see `make_optimizer`."""
  if name == 'adamw':
    return optax.adamw(
      learning_rate, b1=momentum, weight_decay=weight_decay, mask=kernels
    )
  sgd = optax.chain(
    optax.add_decayed_weights(weight_decay, mask=kernels),
    optax.sgd(learning_rate, momentum),
  )
  if name == 'sgd':
    return sgd
  if name == 'unit_norm':
    if not normalized_kernels:
      raise UserError(
        'optimizer.name=unit_norm needs kernels that normalisation follows, and this '
        'network has none: choose model.batch_norm=true, or optimizer.name=sgd'
      )
    spheres = riemannian_sgd(learning_rate, momentum or None)
    return by_path({'sphere': spheres, 'flat': sgd}, sphere_rules(normalized_kernels))
  raise UserError(f'unknown optimizer {name!r}; choose from {", ".join(OPTIMIZERS)}')


def sphere_rules(normalized_kernels: Sequence[str]) -> Rules:
  """Labels 'sphere' for the paths that match one of the patterns, 'flat' for others."""
  return (*((pattern, 'sphere') for pattern in normalized_kernels), ('.*', 'flat'))


def on_sphere(params: optax.Params, normalized_kernels: Sequence[str]) -> optax.Params:
  """A tree of booleans: whether 'unit_norm' keeps a parameter's filters on spheres."""
  labels = label_parameters(params, sphere_rules(normalized_kernels))
  return jax.tree.map(lambda label: label == 'sphere', labels)


def start_on_sphere(
  params: optax.Params, normalized_kernels: Sequence[str]
) -> optax.Params:
  """`params` as 'unit_norm' begins: filters of norm 1 where normalisation follows.

  Raises:
    UserError: as `normalize_filters`.
  """
  return normalize_filters(params, mask=on_sphere(params, normalized_kernels))


def kernels(params: optax.Params) -> optax.Params:
  """A tree of booleans: whether a parameter is a kernel, of rank 2 or more."""
  return jax.tree.map(lambda leaf: leaf.ndim > 1, params)
