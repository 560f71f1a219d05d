import itertools
import threading
import time

import pytest

from symjax import data


def threads():
  return [thread for thread in threading.enumerate() if thread.name == 'prefetch']


@pytest.mark.parametrize('depth', [1, 2, 5])
def test_results_come_in_order(depth):
  with data.prefetch(range(50), lambda x: x * x, depth) as results:
    assert list(results) == [x * x for x in range(50)]
  assert not threads()


def test_transfer_runs_in_another_thread():
  with data.prefetch(range(1), lambda _: threading.current_thread()) as results:
    assert next(results) is not threading.current_thread()


def test_an_exception_of_the_source_comes_in_its_place():
  def source():
    yield 1
    raise KeyError('source')

  with data.prefetch(source(), lambda x: x) as results:
    assert next(results) == 1
    with pytest.raises(KeyError, match='source'):
      next(results)
  assert not threads()


def test_an_exception_of_the_transfer_comes_in_its_place():
  with data.prefetch([4, 2, 0], lambda x: 8 // x) as results:
    assert [next(results), next(results)] == [2, 4]
    with pytest.raises(ZeroDivisionError):
      next(results)


@pytest.mark.parametrize('taken', [0, 1, 7])
def test_leaving_early_stops_the_thread(taken):
  made = itertools.count()
  start = time.monotonic()
  with data.prefetch(made, lambda x: x, depth=3) as results:
    assert list(itertools.islice(results, taken)) == list(range(taken))
  assert not threads()
  assert time.monotonic() - start < 2
  # No more was made than fits into the queue and the thread's hand.
  assert next(made) <= taken + 3 + 2


def test_leaving_by_an_exception_stops_the_thread():
  with pytest.raises(RuntimeError), data.prefetch(itertools.count(), str) as results:
    next(results)
    raise RuntimeError
  assert not threads()
