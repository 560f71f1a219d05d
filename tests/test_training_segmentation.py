"""The task of labelled pixels, against numpy in float64 and counting by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from symjax.data import Dataset, evaluation_batches
from symjax.errors import UserError
from symjax.training.confusion import confusion_matrices
from symjax.training.images import Augmentation, Normalization
from symjax.training.segmentation import Segmentation
from symjax.training.state import create_state
from symjax.training.step import evaluate, make_eval_step, make_train_step

NAMES = ('sky', 'road', 'tree', 'car')
IGNORED = 9
SHAPE = (5, 6, 7)  # Images, height, width.
RNG = np.random.default_rng(0)
LABELS = RNG.choice([0, 1, 2, IGNORED], SHAPE).astype(np.uint8)  # No car.
LOGITS = RNG.normal(size=(*SHAPE, 4))
IMAGES = RNG.integers(0, 256, (*SHAPE, 3)).astype(np.uint8)
DATASET = Dataset('scenes', 'test', IMAGES, LABELS, 4, '', 'segmentation', IGNORED)
BATCH = {'image': jnp.asarray(IMAGES), 'label': jnp.asarray(LABELS)}
WEIGHTS = (0.5, 2.0, 3.0, 1.0)
TASK = Segmentation(NAMES, IGNORED)
NORMALIZATION = Normalization((0.5,) * 3, (0.25,) * 3)


def brute_force(labels, predictions):
  """The confusion matrix, pixel by pixel."""
  confusion = np.zeros((4, 4), int)
  for label, prediction in zip(labels.ravel(), predictions.ravel(), strict=True):
    if label != IGNORED:
      confusion[label, prediction] += 1
  return confusion


def brute_force_metrics(labels, predictions):
  """Global accuracy, class accuracy and mean IoU, by sets of pixels."""
  labelled = labels != IGNORED
  accuracies, ratios = [], []
  for label in np.unique(labels[labelled]):
    true, found = labels == label, labelled & (predictions == label)
    accuracies.append((true & found).sum() / true.sum())
    ratios.append((true & found).sum() / (true | found).sum())
  right = (labels == predictions)[labelled].mean()
  return right, np.mean(accuracies), np.mean(ratios)


def cross_entropies(logits):
  """[images, height, width, classes] minus log probabilities, in float64."""
  return np.log(np.exp(logits).sum(-1, keepdims=True)) - logits


def loss_by_hand(logits, weights):
  """Weight times cross-entropy, over the number of labelled pixels."""
  labelled = LABELS != IGNORED
  labels = LABELS[labelled]
  losses = cross_entropies(logits)[labelled][np.arange(len(labels)), labels]
  return (np.array(weights)[labels] * losses).sum() / labelled.sum()


@pytest.mark.parametrize('weights', [None, WEIGHTS])
def test_the_loss_is_divided_by_the_number_of_labelled_pixels(weights):
  task = Segmentation(NAMES, IGNORED, weights)
  losses = task.losses(jnp.asarray(LOGITS, jnp.float32), BATCH)
  assert losses.shape == (5,)
  expected = loss_by_hand(LOGITS, weights or (1.0,) * 4)
  count = int(task.counts(BATCH).sum())
  assert float(losses.sum()) / count == pytest.approx(expected, rel=1e-5)


def test_ignored_pixels_have_no_gradient_and_others_that_of_softmax():
  def total(logits):
    return Segmentation(NAMES, IGNORED, WEIGHTS).losses(logits, BATCH).sum()

  gradient = jax.grad(total)(jnp.asarray(LOGITS, jnp.float32))
  ignored = LABELS == IGNORED
  labels = np.where(ignored, 0, LABELS)
  expected = np.exp(-cross_entropies(LOGITS)) - np.eye(4)[labels]
  expected *= np.where(ignored, 0, np.array(WEIGHTS)[labels])[..., None]
  np.testing.assert_allclose(gradient, expected, atol=1e-5)


def test_a_confusion_matrix_counts_pixels():
  predictions = LOGITS.argmax(-1)
  found = confusion_matrices(BATCH['label'], jnp.asarray(predictions), 4, IGNORED)
  assert found.dtype == jnp.int32
  for matrix, labels, predicted in zip(found, LABELS, predictions, strict=True):
    np.testing.assert_array_equal(matrix, brute_force(labels, predicted))


@pytest.mark.parametrize('ignore_label', [None, 2])
def test_every_label_counts_but_the_ignored_one(ignore_label):
  """The ignored label may also be one that could be a class."""
  labels = jnp.asarray(LABELS % 4)
  found = confusion_matrices(labels, labels, 4, ignore_label)
  counts = np.bincount(np.ravel(labels), minlength=4)
  if ignore_label is not None:
    counts[ignore_label] = 0
  np.testing.assert_array_equal(np.sum(found, axis=0), np.diag(counts))


class Pixelwise(nn.Module):
  """One linear map of the colours of each pixel, and a second head."""

  @nn.compact
  def __call__(self, images, *, train):
    second = nn.Dense(4, name='second')(images)
    if train:
      self.sow('intermediates', 'auxiliary_logits', second)
    return nn.Dense(4, name='first')(images)


STATE = create_state(Pixelwise(), optax.sgd(0.5), (6, 7, 3), seed=0)
STEP = jax.jit(make_eval_step(Pixelwise(), TASK, NORMALIZATION))


def logits_of(state):
  logits = Pixelwise().apply(state.variables, NORMALIZATION(IMAGES), train=False)
  return np.asarray(logits, np.float64)


@pytest.mark.parametrize('batch_size', [1, 4, 5])
def test_metrics_are_of_the_pixels_of_the_whole_split(batch_size):
  """However it is cut into batches, and padded; the absent class is left out."""
  found = evaluate(STEP, TASK, STATE, evaluation_batches(DATASET, batch_size))
  logits = logits_of(STATE)
  right, class_accuracy, miou = brute_force_metrics(LABELS, logits.argmax(-1))
  assert found['test_loss'] == pytest.approx(loss_by_hand(logits, (1.0,) * 4), 1e-5)
  assert found['test_accuracy'] == pytest.approx(right, abs=1e-12)
  assert found['test_class_accuracy'] == pytest.approx(class_accuracy, abs=1e-12)
  assert found['test_miou'] == pytest.approx(miou, abs=1e-12)
  assert list(found['test_iou']) == list(NAMES)
  assert found['test_iou'].pop('car') is None
  assert np.mean(list(found['test_iou'].values())) == pytest.approx(miou, abs=1e-12)
  assert set(TASK.reported) <= set(found) and TASK.rank(found) == found['test_miou']


def test_a_step_descends_the_losses_of_both_heads():
  """The second at 0.4 times the rate; an image without a labelled pixel is no NaN."""
  task = Segmentation(NAMES, IGNORED, WEIGHTS)
  step = make_train_step(
    Pixelwise(),
    optax.sgd(0.5),
    task,
    NORMALIZATION,
    Augmentation(),
    auxiliary_weight=0.4,
  )
  step = jax.jit(step)
  after, metrics = step(STATE, BATCH)
  pixels = np.asarray(NORMALIZATION(IMAGES), np.float64)
  labels = np.where(LABELS == IGNORED, 0, LABELS)
  for name, rate in (('first', 0.5), ('second', 0.2)):
    before = {k: np.asarray(v, np.float64) for k, v in STATE.params[name].items()}
    logits = pixels @ before['kernel'] + before['bias']
    pull = np.exp(-cross_entropies(logits)) - np.eye(4)[labels]
    pull *= np.where(LABELS == IGNORED, 0, np.array(WEIGHTS)[labels])[..., None]
    pull /= (LABELS != IGNORED).sum()
    expected = before['kernel'] - rate * np.einsum('bhwi,bhwo->io', pixels, pull)
    np.testing.assert_allclose(after.params[name]['kernel'], expected, atol=1e-6)
  right, _, _ = brute_force_metrics(LABELS, logits_of(STATE).argmax(-1))
  assert metrics['train_accuracy'] == pytest.approx(right, abs=1e-6)

  nothing = BATCH | {'label': jnp.full(SHAPE, IGNORED, jnp.uint8)}
  after, metrics = step(STATE, nothing)
  assert float(metrics['train_loss']) == float(metrics['gradient_norm']) == 0
  jax.tree.map(np.testing.assert_array_equal, after.params, STATE.params)


def test_a_split_without_labelled_pixels_has_no_metrics():
  empty = Dataset(
    'scenes',
    'test',
    IMAGES,
    np.full(SHAPE, IGNORED, np.uint8),
    4,
    '',
    'segmentation',
    9,
  )
  with pytest.raises(UserError, match='not one pixel of the split has a label'):
    evaluate(STEP, TASK, STATE, evaluation_batches(empty, 5))


def test_half_precision_is_widened():
  losses = TASK.losses(jnp.asarray(LOGITS, jnp.bfloat16), BATCH)
  assert (losses.dtype, losses.shape) == (jnp.float32, (5,))


@pytest.mark.parametrize(
  'weights, message',
  [
    ((1.0,) * 3, '3 class weights for 4 classes'),
    ((1.0, 1.0, np.nan, 1.0), 'the weight nan of class tree is not 0 or more'),
    ((1.0, -2.0, 1.0, 1.0), r'the weight -2.0 of class road is not 0 or more'),
  ],
)
def test_weights_that_make_no_loss_are_refused(weights, message):
  with pytest.raises(UserError, match=message):
    Segmentation(NAMES, IGNORED, weights)
