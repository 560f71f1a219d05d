import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symjax import data
from symjax.errors import UserError

sizes = st.integers(1, 40)
seeds = st.integers(0, 2**32)


def numbered(num_examples):
  """A data set whose image and label both tell the example's number."""
  numbers = np.arange(num_examples)
  images = np.broadcast_to(numbers[:, None, None, None], (num_examples, 2, 2, 1))
  return data.Dataset(
    'numbered', 'train', images.astype(np.uint8), numbers.astype(np.int32), 100, ''
  )


@settings(deadline=None)
@given(num_examples=sizes, batch_size=st.integers(1, 60), seed=seeds)
def test_every_epoch_of_the_stream_holds_each_example_once(
  num_examples, batch_size, seed
):
  epochs = 3
  steps = -(-epochs * num_examples // batch_size)
  stream = np.concatenate(
    [data.batch_indices(num_examples, batch_size, seed, step) for step in range(steps)]
  )
  per_epoch = stream[: epochs * num_examples].reshape(epochs, num_examples)
  assert (np.sort(per_epoch) == np.arange(num_examples)).all()


def test_epochs_and_seeds_have_orders_of_their_own():
  orders = [
    tuple(data.batch_indices(100, 100, seed, epoch))
    for seed, epoch in itertools.product(range(3), range(3))
  ]
  assert len(set(orders)) == 9


@settings(deadline=None)
@given(num_examples=sizes, share=st.integers(1, 8), count=st.integers(1, 4), seed=seeds)
def test_the_blocks_of_all_processes_make_the_global_batch(
  num_examples, share, count, seed
):
  dataset, batch_size = numbered(num_examples), share * count
  blocks = [
    data.training_batches(dataset, batch_size, seed, 2, 6, index, count)
    for index in range(count)
  ]
  for step, parts in enumerate(zip(*blocks, strict=True), start=2):
    labels = np.concatenate([part['label'] for part in parts])
    images = np.concatenate([part['image'] for part in parts])
    expected = data.batch_indices(num_examples, batch_size, seed, step)
    assert (labels == expected).all()
    assert (images[:, 0, 0, 0] == expected).all()
    assert all(len(part['label']) == share for part in parts)
  assert step == 5


def test_training_batches_have_the_contract_types():
  batch = next(data.training_batches(numbered(10), 4, 0, 0, 1))
  assert batch['image'].shape == (4, 2, 2, 1)
  assert batch['image'].dtype == np.uint8
  assert batch['label'].dtype == np.int32


@settings(deadline=None)
@given(num_examples=sizes, share=st.integers(1, 8), count=st.integers(1, 4))
def test_evaluation_covers_the_split_once_in_order(num_examples, share, count):
  dataset = numbered(num_examples)
  blocks = [
    list(data.evaluation_batches(dataset, share * count, index, count))
    for index in range(count)
  ]
  assert len({len(block) for block in blocks}) == 1
  seen = []
  for parts in zip(*blocks, strict=True):
    for part in parts:
      assert len(part['image']) == len(part['label']) == len(part['mask']) == share
      assert part['mask'].dtype == bool
      assert (part['image'][:, 0, 0, 0] == part['label']).all()
      assert not part['image'][~part['mask']].any()
      seen.extend(part['label'][part['mask']])
  assert seen == list(range(num_examples))


@pytest.mark.parametrize('batch_size, count', [(10, 4), (0, 1), (-4, 2)])
@pytest.mark.parametrize('make', ['training', 'evaluation'])
def test_a_batch_that_cannot_be_shared_is_refused_at_once(batch_size, count, make):
  with pytest.raises(UserError, match=f'positive multiple of {count}'):
    if make == 'training':
      data.training_batches(numbered(20), batch_size, 0, 0, 1, 0, count)
    else:
      data.evaluation_batches(numbered(20), batch_size, 0, count)


def test_an_empty_split_is_refused():
  with pytest.raises(UserError, match='no examples'):
    data.training_batches(numbered(0), 4, 0, 0, 1)
