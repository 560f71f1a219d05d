"""The methods that Table 2 compares, and those that explain the difference."""

import dataclasses
from collections.abc import Callable, Sequence

import optax

from symjax import optim
from symjax.errors import UserError

MOMENTUM = 0.9
WEIGHT_DECAY = 5e-4  # Of the loss of one example.

MakeOptimizer = Callable[[optax.ScalarOrSchedule], optax.GradientTransformation]


@dataclasses.dataclass(frozen=True)
class Method:
  """One way to update the filters; all begin with filters of norm 1.

  Attributes:
    label: in tables and figures.
    momentum: of all parameters; None is none.
    weight_decay: of all kernels, theta's included, for one example; a sum over a
      batch multiplies it as it does the loss.
    make_links: (rate, momentum) -> the optimiser of the filters; None treats them
      like all other parameters.
  """

  label: str
  momentum: float | None = None
  weight_decay: float = 0.0
  make_links: (
    Callable[[optax.ScalarOrSchedule, float | None], optax.GradientTransformation]
    | None
  ) = None

  def optimizer(
    self,
    rate: optax.ScalarOrSchedule,
    normalized_kernels: Sequence[str],
    examples: int,
  ) -> optax.GradientTransformation:
    """The optimiser of a whole network.

    Args:
      rate: the learning rate.
      normalized_kernels: patterns of the paths of kernels that normalisation follows.
      examples: over which the loss is a sum; 1 for a mean.
    """
    flat = optax.chain(
      optax.add_decayed_weights(self.weight_decay * examples, mask=optim.kernels),
      optax.sgd(rate, self.momentum),
    )
    if self.make_links is None:
      return flat
    filters = self.make_links(rate, self.momentum)
    rules = optim.sphere_rules(normalized_kernels)
    return optim.by_path({'sphere': filters, 'flat': flat}, rules)


METHODS = {
  # Balanced SGD: Euclidean, from filters and class vectors of norm 1.
  'b-sgd': Method('B-SGD'),
  # Eq. 2.
  'un': Method('UN', make_links=optim.riemannian_sgd),
  # The scaled metric of the follow-up, arXiv:1511.01754.
  'sm': Method(
    'SM', make_links=lambda rate, _: optax.chain(optim.scaled_metric(), optax.sgd(rate))
  ),
  # Eq. 2 without its projection.
  'renormalize': Method(
    'renormalise only',
    make_links=lambda rate, _: optax.chain(optax.sgd(rate), optim.retract_update()),
  ),
  'un-momentum': Method(
    f'UN, momentum {MOMENTUM}', MOMENTUM, make_links=optim.riemannian_sgd
  ),
  'b-sgd-decay': Method('B-SGD, weight decay', weight_decay=WEIGHT_DECAY),
}


def get_method(name: str) -> Method:
  """One of `METHODS` by name.

  Raises:
    UserError: an unknown name.
  """
  if name not in METHODS:
    raise UserError(f'unknown method {name!r}; choose from {", ".join(METHODS)}')
  return METHODS[name]
