"""What one run of a cell computes, as pure functions."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax

from symjax.experiments.table2.methods import Method, get_method
from symjax.experiments.table2.protocol import Protocol
from symjax.models import ArchBN
from symjax.optim import BOLD_DRIVERS, BoldDriverState
from symjax.training.batch_norm import observe


class Images(NamedTuple):
  """A split: uint8 [n, height, width, channels] and its labels, int32 [n]."""

  images: jax.Array
  labels: jax.Array


class RunState(NamedTuple):
  """One run between two epochs: parameters, optimiser's and bold driver's state."""

  params: Any
  opt_state: optax.OptState
  driver: BoldDriverState


class Measured(NamedTuple):
  """After an epoch: the mean cost of its batches [], in nats, and errors []."""

  rate: jax.Array
  cost: jax.Array
  train_error: jax.Array
  validation_error: jax.Array
  test_error: jax.Array


@dataclasses.dataclass(frozen=True)
class Cell:
  """Depth and method, and what one run of them computes.

  Attributes:
    protocol: of all runs.
    model: the network.
    method: of updates.
  """

  protocol: Protocol
  model: ArchBN
  method: Method

  def select(
    self, run: jax.Array, train: jax.Array, validation: jax.Array, pool: Images
  ) -> jax.Array:
    """[rates] validation error of each candidate, after training with it alone.

    Args:
      run: [] number of the run.
      train: [n] indices into `pool`.
      validation: [m] likewise.
      pool: the images that all runs draw from.
    """

    def error(rate: jax.Array) -> jax.Array:
      def epoch(state: RunState, number: jax.Array) -> tuple[RunState, None]:
        return self._train(state, self._order(run, number, train), pool, rate)[0], None

      epochs = jnp.arange(self.protocol.selection_epochs)
      state, _ = lax.scan(epoch, self.begin(run, rate, pool), epochs)
      statistics, _ = self._statistics(state.params, pool, train)
      return self._error(state.params, statistics, pool, validation)

    return lax.map(error, jnp.asarray(self.protocol.rates, jnp.float32))

  def begin(self, run: jax.Array, rate: jax.Array, pool: Images) -> RunState:
    """A run before its first epoch."""
    key = jax.random.fold_in(jax.random.key(self.protocol.seed), run)
    params = self.model.init(key, jnp.zeros((1, *pool.images.shape[1:])))['params']
    driver = BOLD_DRIVERS[self.protocol.bold_driver].init(rate, params)
    return RunState(params, self._optimizer(rate).init(params), driver)

  def epoch(
    self,
    run: jax.Array,
    going: jax.Array,
    state: RunState,
    train: jax.Array,
    validation: jax.Array,
    number: jax.Array,
    pool: Images,
    test: Images,
  ) -> tuple[RunState, Measured]:
    """Trains for an epoch, lets the bold driver decide, and measures.

    A run that has ended stays as it is, and is measured as NaN. Errors are those of
    the parameters at the end of the epoch, with BatchNorm's exact statistics over the
    training split; NaN where a logit is not finite.

    Args:
      run: [] number of the run.
      going: [] whether the run has not ended.
      state: at the beginning of the epoch.
      train: [n] indices into `pool`.
      validation: [m] likewise.
      number: [] of the epoch, from 0.
      pool: the images that all runs draw from.
      test: the test split.
    """

    def go() -> tuple[RunState, Measured]:
      order = self._order(run, number, train)
      return self._epoch(state, order, train, validation, pool, test)

    def stay() -> tuple[RunState, Measured]:
      return state, Measured(*(jnp.float32(jnp.nan),) * len(Measured._fields))

    return lax.cond(going, go, stay)

  def _epoch(
    self,
    state: RunState,
    order: jax.Array,
    train: jax.Array,
    validation: jax.Array,
    pool: Images,
    test: Images,
  ) -> tuple[RunState, Measured]:
    rate = state.driver.rate
    state, cost = self._train(state, order, pool, rate)
    driver, params = BOLD_DRIVERS[self.protocol.bold_driver].update(
      state.driver, cost, state.params
    )
    state = RunState(params, state.opt_state, driver)
    statistics, train_error = self._statistics(params, pool, train)
    measured = Measured(
      rate=rate,
      cost=cost,
      train_error=train_error,
      validation_error=self._error(params, statistics, pool, validation),
      test_error=self._error(params, statistics, test, jnp.arange(len(test.labels))),
    )
    return state, measured

  def _optimizer(self, rate: jax.Array) -> optax.GradientTransformation:
    examples = self.protocol.batch_size if self.protocol.loss_reduction == 'sum' else 1
    return self.method.optimizer(rate, self.model.normalized_kernels, examples)

  def _order(self, run: jax.Array, number: jax.Array, train: jax.Array) -> jax.Array:
    """[steps, batch] indices of an epoch's batches: each image once, without a rest."""
    key = jax.random.fold_in(jax.random.key(self.protocol.seed), run)
    # Another stream than that of the initial weights, which have the key of the run.
    key = jax.random.fold_in(jax.random.fold_in(key, 1), number)
    order = jax.random.permutation(key, train)
    steps = len(train) // self.protocol.batch_size
    return order[: steps * self.protocol.batch_size].reshape(steps, -1)

  def _train(
    self, state: RunState, order: jax.Array, pool: Images, rate: jax.Array
  ) -> tuple[RunState, jax.Array]:
    """The state after an epoch, and the mean cost of its batches."""
    optimizer = self._optimizer(rate)
    reduce = jnp.sum if self.protocol.loss_reduction == 'sum' else jnp.mean

    def objective(params: Any, batch: jax.Array) -> tuple[jax.Array, jax.Array]:
      logits, _ = observe(self.model, params, _pixels(pool, batch))
      losses = optax.softmax_cross_entropy_with_integer_labels(
        logits, pool.labels[batch]
      )
      return reduce(losses), losses.mean()

    def step(
      carry: tuple[Any, optax.OptState], batch: jax.Array
    ) -> tuple[tuple[Any, optax.OptState], jax.Array]:
      params, opt_state = carry
      gradients, cost = jax.grad(objective, has_aux=True)(params, batch)
      updates, opt_state = optimizer.update(gradients, opt_state, params)
      return (optax.apply_updates(params, updates), opt_state), cost

    (params, opt_state), costs = lax.scan(step, (state.params, state.opt_state), order)
    return RunState(params, opt_state, state.driver), costs.mean()

  def _statistics(
    self, params: Any, pool: Images, train: jax.Array
  ) -> tuple[Any, jax.Array]:
    """BatchNorm's exact statistics over the training split, and the error on it."""
    logits, statistics = observe(self.model, params, _pixels(pool, train))
    return statistics, _error_of(logits, pool.labels[train])

  def _error(
    self, params: Any, statistics: Any, split: Images, indices: jax.Array
  ) -> jax.Array:
    variables = {'params': params, 'batch_stats': statistics}
    logits: Any = self.model.apply(variables, _pixels(split, indices), train=False)
    return _error_of(logits, split.labels[indices])


def make_cell(protocol: Protocol, depth: int, method: str, num_classes: int) -> Cell:
  """The cell of a depth and a method.

  Raises:
    UserError: a depth or a method that does not exist.
  """
  return Cell(protocol, ArchBN(num_classes, depth), get_method(method))


def _pixels(split: Images, indices: jax.Array) -> jax.Array:
  """float32 pixels in [0, 1]."""
  return split.images[indices].astype(jnp.float32) / 255.0


def _error_of(logits: jax.Array, labels: jax.Array) -> jax.Array:
  """[] the fraction of wrong predictions; NaN if a logit is not finite."""
  wrong = (logits.argmax(-1) != labels).mean(dtype=jnp.float32)
  return jnp.where(jnp.isfinite(logits).all(), wrong, jnp.nan)
