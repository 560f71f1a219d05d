"""The step over a mesh is the step of one device on the global batch."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from jax.sharding import AxisType

from symjax import symmetry
from symjax.data import evaluation_batches, fake_dataset, training_batches
from symjax.errors import UserError
from symjax.models import get_model
from symjax.nn import ConvPolicy
from symjax.optim import make_optimizer
from symjax.training import devices
from symjax.training.images import Augmentation, Normalization
from symjax.training.state import create_state
from symjax.training.step import evaluate, make_eval_step, make_train_step
from symjax.training.tasks import Classification

NORMALIZATION = Normalization((0.5,) * 3, (0.25,) * 3)
DATASET = fake_dataset(
  'fake', 'train', num_classes=4, image_shape=(16, 16, 3), num_examples=40
)


def build(dtype, penalty=None, **options):
  options = dict(depth=11, stages=2, width=1 / 16, batch_norm=True) | options
  model = get_model('vgg', 4, dtype=dtype, **options)
  optimizer = make_optimizer(0.1, 'sgd', 0.9, 5e-4)
  state = create_state(model, optimizer, (16, 16, 3), seed=0)
  augmentation = Augmentation(flip=True, shift=2)
  step = make_train_step(
    model, optimizer, Classification(), NORMALIZATION, augmentation, penalty
  )
  return model, state, step


def run(mesh, dtype, steps, **options):
  """The parameters after a number of steps, and the losses on the way."""
  _, state, step = build(dtype, **options)
  step = devices.jit(step, mesh, donate_state=True)
  state = jax.device_put(state, devices.replicated(mesh))
  losses = []
  for batch in training_batches(DATASET, 8, 0, 0, steps):
    state, metrics = step(state, devices.place_batch(mesh, batch))
    losses.append(float(metrics['train_loss']))
  return jax.device_get(state), losses


def mesh_of(count):
  return jax.make_mesh(
    (count,), ('data',), axis_types=(AxisType.Auto,), devices=jax.devices()[:count]
  )


def test_steps_give_balanced_poolings_their_randomness():
  """Without an rng of its own, drawing a phase is an error of Flax."""
  policy = ConvPolicy(downsampling='balanced', algorithm='xla')
  _, state, step = build('float32', policy=policy, stages=1, batch_norm=False)
  [batch] = training_batches(DATASET, 8, 0, 0, 1)
  after, _ = jax.eval_shape(step, state, batch)
  assert jax.tree.structure(after) == jax.tree.structure(state)


@pytest.mark.long
def test_four_devices_compute_what_one_does(float64, standard_promotion):
  """BatchNorm, dropout and augmentation see the global batch: float64, 10 steps."""
  (one, losses), (four, _) = (
    run(mesh_of(count), 'float64', 10, head='classifier') for count in (1, 4)
  )
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-9),
    one.params,
    four.params,
  )
  assert np.ptp(losses) > 0.01


def test_first_gradients_agree_in_float32():
  """After one step SGD's momentum is the gradient: relative to its norm, 1e-5."""
  (one, _), (four, _) = (run(mesh_of(count), 'float32', 1) for count in (1, 4))
  difference = jax.tree.map(np.subtract, one.opt_state, four.opt_state)
  assert optax.tree.norm(difference) <= 1e-5 * optax.tree.norm(one.opt_state)


def test_runs_repeat_bit_for_bit():
  (first, _), (second, _) = (run(mesh_of(4), 'float32', 3) for _ in range(2))
  jax.tree.map(np.testing.assert_array_equal, first, second)


def test_seeds_share_a_program_and_draw_what_is_their_own():
  """The seed is data: two of them trace to one step, which shifts images otherwise."""
  batch = next(training_batches(DATASET, 8, 0, 0, 1))
  _, state, step = build('float32')
  step = jax.jit(step)
  losses = [
    step(state.replace(seed=jnp.uint32(seed)), batch)[1]['train_loss']
    for seed in (0, 1, 2**32 - 1)
  ]
  assert step._cache_size() == 1
  assert len(set(map(float, losses))) == 3


def test_metrics_are_those_of_the_model_before_the_update(key):
  """Without augmentation and dropout, loss and gradient follow from the definition."""
  model, state, _ = build('float32', batch_norm=False, head='average')
  optimizer = make_optimizer(0.5)
  step = make_train_step(
    model, optimizer, Classification(), NORMALIZATION, Augmentation()
  )
  batch = next(training_batches(DATASET, 8, 0, 0, 1))

  def loss(params):
    logits = model.apply({'params': params}, NORMALIZATION(batch['image']))
    logits -= jax.nn.logsumexp(logits, axis=1, keepdims=True)
    return -logits[np.arange(8), batch['label']].mean()

  after, metrics = step(state, batch)
  value, gradient = jax.value_and_grad(loss)(state.params)
  squares = sum((g**2).sum() for g in jax.tree.leaves(gradient))
  assert float(metrics['train_loss']) == pytest.approx(float(value), rel=1e-5)
  assert float(metrics['gradient_norm']) == pytest.approx(float(squares) ** 0.5, 1e-4)
  jax.tree.map(
    lambda new, old, g: np.testing.assert_allclose(new, old - 0.5 * g, atol=1e-6),
    after.params,
    state.params,
    gradient,
  )
  assert int(after.step) == 1


def test_a_penalty_on_asymmetry_makes_kernels_symmetric():
  """`train.symmetry_weight`: the mean kernels end more symmetric than without."""
  scores = []
  for weight in (0.0, 20.0):
    state, _ = run(
      mesh_of(1),
      'float32',
      10,
      penalty=lambda params, w=weight: w * (1 - symmetry.mean_symmetry(params)),
    )
    scores.append(float(symmetry.mean_symmetry(state.params)))
  assert scores[1] > scores[0] + 0.1


class TwoHeads(nn.Module):
  """Two networks of one layer, one of which is the other's second head."""

  @nn.compact
  def __call__(self, images, *, train):
    x = images.reshape(len(images), -1)
    second = nn.Dense(4, name='second')(x)
    if train:
      self.sow('intermediates', 'auxiliary_logits', second)
    return nn.Dense(4, name='first')(x)


def test_the_loss_of_a_second_head_is_added_with_its_weight():
  """Each head descends its own loss; the second one at 0.4 times the rate."""
  task, optimizer, model = Classification(), optax.sgd(0.5), TwoHeads()
  state = create_state(model, optimizer, (16, 16, 3), seed=0)
  step = make_train_step(
    model, optimizer, task, NORMALIZATION, Augmentation(), auxiliary_weight=0.4
  )
  batch = next(training_batches(DATASET, 8, 0, 0, 1))
  x = NORMALIZATION(jnp.asarray(batch['image'])).reshape(8, -1)

  def loss(layer):
    logits = x @ layer['kernel'] + layer['bias'][None]
    return task.losses(logits, batch).mean()

  after, metrics = jax.jit(step)(state, batch)
  for name, metric, rate in (('first', 'train', 0.5), ('second', 'auxiliary', 0.2)):
    value, gradient = jax.value_and_grad(loss)(state.params[name])
    assert float(metrics[f'{metric}_loss']) == pytest.approx(float(value), rel=1e-5)
    jax.tree.map(
      lambda new, old, g, rate=rate: np.testing.assert_allclose(
        new, old - rate * g, atol=1e-5
      ),
      after.params[name],
      state.params[name],
      gradient,
    )


@pytest.mark.parametrize('batch_size', [1, 4, 7, 40, 64])
def test_evaluation_counts_every_example_once(batch_size):
  """Means over the split do not depend on how it is cut into batches."""
  model, state, _ = build('float32')
  step = jax.jit(make_eval_step(model, Classification(), NORMALIZATION))
  images = NORMALIZATION(jnp.asarray(DATASET.images))
  logits = np.asarray(model.apply(state.variables, images), np.float64)
  predictions = logits.argmax(axis=1)
  logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
  batches = evaluation_batches(DATASET, batch_size)
  means = evaluate(step, Classification(), state, batches)
  assert means == {
    'test_loss': pytest.approx(-logits[np.arange(40), DATASET.labels].mean(), rel=1e-5),
    'test_accuracy': pytest.approx((predictions == DATASET.labels).mean()),
  }


def test_batches_must_divide_among_the_devices():
  with pytest.raises(UserError, match='batch of 6 .* 4 devices; .*train.batch_size=8'):
    devices.make_mesh(6)


def test_processes_are_given_completely():
  with pytest.raises(UserError, match='all of --coordinator_address'):
    devices.join_processes(num_processes=2)
  with pytest.raises(UserError, match='--process_id=2 is not one of 0..1'):
    devices.join_processes('localhost:1', 2, 2)


class Device(NamedTuple):
  """A device as a mesh sees it."""

  process_index: int
  id: int


def test_the_mesh_follows_the_processes(monkeypatch):
  """On a TPU slice neighbours on the wire belong to several processes."""
  wired = [Device(process, chip) for chip in range(4) for process in (1, 0)]
  monkeypatch.setattr(jax, 'devices', lambda: wired)
  monkeypatch.setattr(jax, 'device_count', lambda: 8)
  monkeypatch.setattr(devices, 'Mesh', lambda array, axes, axis_types: list(array))
  ordered = [tuple(device) for device in devices.make_mesh(8)]
  assert ordered == [(process, chip) for process in (0, 1) for chip in range(4)]


def test_half_a_launch_is_refused(monkeypatch):
  monkeypatch.setenv('JAX_COORDINATOR_ADDRESS', '127.0.0.1:1')

  def initialize():
    raise ValueError('Number of processes must be defined.')

  monkeypatch.setattr(jax.distributed, 'initialize', initialize)
  with pytest.raises(UserError, match='JAX_COORDINATOR_ADDRESS is set, but'):
    devices.join_processes()


def test_a_coordinator_that_is_not_there_is_named(monkeypatch):
  with pytest.raises(UserError, match='--coordinator_address=foo is not HOST:PORT'):
    devices.join_processes('foo', 2, 1)
  monkeypatch.setattr(devices.time, 'monotonic', iter((0.0, 61.0)).__next__)
  with pytest.raises(UserError, match='nobody listens at 127.0.0.1:1 '):
    devices.join_processes('127.0.0.1:1', 2, 1)
