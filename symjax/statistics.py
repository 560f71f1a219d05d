"""Whether two methods differ, and how sure a number is.

T tests over runs, a rank test, Holm's correction of many, intervals of means and of
shares.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from symjax.errors import UserError

LEVEL = 0.95  # The confidence of every `TTest.interval`.


@dataclasses.dataclass(frozen=True)
class TTest:
  """The outcome of a t test of whether two samples have the same mean.

  Attributes:
    counts: how many values the first and the second sample hold.
    mean_difference: mean of the first minus mean of the second, in their unit.
    standard_deviation: of a difference, in the same unit, with n - 1 for n: of the
      pairs' differences in a paired test; else of a value of the first sample minus an
      independent one of the second, the root of the sum of both variances.
    degrees_of_freedom: of the t distribution; not whole in Welch's test.
    t: `mean_difference` over its standard error. If nothing varies it is infinite, or
      0 for no difference.
    p: two-sided: how likely equal means give a t at least as far from 0.
    interval: (low, high), the 95% confidence interval of the mean difference.
  """

  counts: tuple[int, int]
  mean_difference: float
  standard_deviation: float
  degrees_of_freedom: float
  t: float
  p: float
  interval: tuple[float, float]


def paired_t_test(first: Sequence[float], second: Sequence[float]) -> TTest:
  """Student's t test of pairs (Biometrika 6, 1908), as of runs that share a seed.

  Args:
    first: [n] values; the i-th forms a pair with the i-th of `second`.
    second: [n] values.

  Raises:
    UserError: the samples differ in length, hold fewer than two values, or hold one
      that is not a finite number.
  """
  if len(first) != len(second):
    raise UserError(
      f'the samples hold {len(first)} and {len(second)} values; '
      'a paired test needs the same number of both, in the order of their pairs'
    )
  differences = _sample(first, 'first sample') - _sample(second, 'second sample')
  mean, variance = _moments(differences)
  count = len(differences)
  return _t_test(
    (count, count), mean, math.sqrt(variance), math.sqrt(variance / count), count - 1
  )


def welch_t_test(first: Sequence[float], second: Sequence[float]) -> TTest:
  """Welch's t test of independent samples (Biometrika 34, 1947).

  Their variances may differ, and so may their sizes.

  Args:
    first: [n] values.
    second: [m] values.

  Raises:
    UserError: a sample holds fewer than two values, or one that is not a finite number.
  """
  samples = _sample(first, 'first sample'), _sample(second, 'second sample')
  counts = len(samples[0]), len(samples[1])
  (mean, variance), (other_mean, other_variance) = map(_moments, samples)
  squares = variance / counts[0], other_variance / counts[1]  # Of standard errors.
  total = sum(squares)
  if total:
    # The Welch-Satterthwaite equation, in shares of the total.
    shares = [square / total for square in squares]
    terms = [share**2 / (n - 1) for share, n in zip(shares, counts, strict=True)]
    freedom = 1 / sum(terms)
  else:
    freedom = sum(counts) - 2  # What it is for equal variances and sizes.
  deviation = math.sqrt(variance + other_variance)
  return _t_test(counts, mean - other_mean, deviation, math.sqrt(total), freedom)


def rank_test(first: Sequence[float], second: Sequence[float]) -> float:
  """The p value of Mann and Whitney's test (Ann. Math. Stat. 18, 1947), two-sided.

  How likely samples of one distribution give ranks at least as far apart: exact where
  one holds at most 8 values and none occurs twice, else by the normal approximation.

  Args:
    first: [n] independent values.
    second: [m] independent values.

  Raises:
    UserError: a sample is empty, or holds a value that is not a finite number.
  """
  one, other = _sample(first, 'first sample', 1), _sample(second, 'second sample', 1)
  return float(stats.mannwhitneyu(one, other).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
  """P values adjusted for their number (Holm, Scand. J. Statist. 6, 1979).

  Rejecting what is at most alpha after adjustment makes any false rejection at most
  alpha likely, however the tests depend on each other.

  Args:
    p_values: [n], between 0 and 1.

  Returns:
    [n] adjusted p values in the order given: the k-th smallest times n + 1 - k, no less
    than any before it, and at most 1.

  Raises:
    UserError: a value is not between 0 and 1.
  """
  given = np.asarray(p_values, float)
  wrong = given[~((given >= 0) & (given <= 1))]
  if wrong.size:
    raise UserError(f'the p value {wrong[0]:g} is not between 0 and 1')
  order = np.argsort(given)
  scaled = given[order] * np.arange(len(given), 0, -1)
  adjusted = np.empty_like(given)
  adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1)
  return adjusted.tolist()


def mean_interval(
  values: Sequence[float], confidence: float = LEVEL
) -> tuple[float, float]:
  """The confidence interval (low, high) of the mean of normal values.

  Args:
    values: [n] independent values.
    confidence: how likely an interval holds the true mean, between 0 and 1.

  Raises:
    UserError: fewer than two values, one that is not a finite number, or a confidence
      that is not between 0 and 1.
  """
  _require_confidence(confidence)
  sample = _sample(values, 'sample')
  mean, variance = _moments(sample)
  error = math.sqrt(variance / len(sample))
  return _interval(mean, error, len(sample) - 1, confidence)


def share_interval(
  values: Sequence[float],
  clusters: Sequence[int] | None = None,
  weights: Sequence[float] | None = None,
  confidence: float = LEVEL,
) -> tuple[float, float]:
  """The confidence interval (low, high) of a share, such as an accuracy.

  Wilson's score interval (J. Am. Stat. Assoc. 22, 1927), which stays between 0 and 1,
  at an effective number of images: p (1 - p) over the variance of the mean p, which is
  the sum of squares of the clusters' sums of weighted deviations, over the square of
  the sum of weights (Korn & Graubard, Survey Methodology 24, 1998). Where each image is
  right or wrong by itself that number is n, and the interval Wilson's own. Without any
  variance, as where all are right, it is the number of clusters: the cautious choice.

  Args:
    values: [n] from 0 to 1: right or wrong, or the share of one image over its
      repeats or pixels.
    clusters: [n] what each belongs to; those of one cluster may depend on each other,
      as images do for which one shift was drawn. None: all are independent.
    weights: [n] positive, of what each is a share: a number of pixels makes the mean
      the share of all pixels together, and leaves those of one image dependent. None:
      all weigh alike.
    confidence: how likely an interval holds the true share, between 0 and 1.

  Raises:
    UserError: no values, one that is not from 0 to 1, another number of clusters or of
      weights than of values, a weight that is not positive, or a confidence that is
      not between 0 and 1.
  """
  _require_confidence(confidence)
  shares = np.asarray(values, float)
  if not shares.size or not ((shares >= 0) & (shares <= 1)).all():
    raise UserError('a share is the mean of one value or more, each from 0 to 1')
  members = np.arange(len(shares)) if clusters is None else np.asarray(clusters)
  heavy = np.ones_like(shares) if weights is None else np.asarray(weights, float)
  for name, given in (('clusters', members), ('weights', heavy)):
    if len(given) != len(shares):
      raise UserError(f'{len(given)} {name} were given for {len(shares)} values')
  if not (heavy > 0).all():
    raise UserError(f'the weight {heavy[~(heavy > 0)][0]:g} is not positive')
  heavy = heavy / heavy.mean()  # So that they sum to the number of values.
  mean = float((heavy * shares).mean())
  _, places = np.unique(members, return_inverse=True)
  deviations = np.bincount(places, heavy * (shares - mean))
  # Below rounding there is no variance: a square of 1e-12 is none of a share.
  squares = float(np.square(deviations).sum())
  if squares > 1e-18 * len(shares) ** 2:
    count = mean * (1 - mean) * len(shares) ** 2 / squares
  else:
    count = float(len(deviations))
  z2 = float(stats.norm.isf((1 - confidence) / 2)) ** 2
  center = (mean + z2 / (2 * count)) / (1 + z2 / count)
  reach = math.sqrt(z2 * (mean * (1 - mean) / count + z2 / (4 * count**2)))
  reach /= 1 + z2 / count
  return max(0.0, center - reach), min(1.0, center + reach)


def jackknife_interval(
  whole: float, without: Sequence[float], confidence: float = LEVEL
) -> tuple[float, float]:
  """The confidence interval (low, high) of a statistic that is no mean.

  Tukey's jackknife (Ann. Math. Stat. 29, 1958): the variance of the statistic is
  (n - 1) / n times the sum of squares of what it is without each of the n independent
  parts of a sample, about their mean. Of a mean it gives `mean_interval`.

  Args:
    whole: the statistic of the whole sample.
    without: [n] the statistic of the sample without its i-th part.
    confidence: how likely an interval holds the true value, between 0 and 1.

  Raises:
    UserError: fewer than two parts, a value that is not a finite number, or a
      confidence that is not between 0 and 1.
  """
  _require_confidence(confidence)
  _, variance = _moments(_sample(without, 'sample'))
  freedom = len(without) - 1
  error = math.sqrt(variance / len(without)) * freedom
  return _interval(whole, error, freedom, confidence)


def _sample(values: Sequence[float], name: str, least: int = 2) -> np.ndarray:
  """[n] the values in float64, once they are known to be fit for a test."""
  if len(values) < least:
    wanted = 'one value' if least == 1 else 'two values'
    raise UserError(f'the {name} needs {wanted} or more, and holds {len(values)}')
  sample = np.asarray(values, float)
  if not np.isfinite(sample).all():
    i = int(np.argmin(np.isfinite(sample)))  # The first that is not.
    raise UserError(
      f'value {i + 1} of {len(sample)} in the {name} is {sample[i]:g}; '
      'it must be a finite number'
    )
  return sample


def _require_confidence(confidence: float) -> None:
  if not 0 < confidence < 1:
    raise UserError(
      f'the confidence is {confidence:g}; it must lie between 0 and 1, as {LEVEL} does'
    )


def _moments(sample: np.ndarray) -> tuple[float, float]:
  """The mean and the unbiased variance, of equal values exactly their value and 0."""
  offsets = sample - sample[0]  # The mean of three times 0.1 is not 0.1 in floats.
  return float(sample[0] + offsets.mean()), float(offsets.var(ddof=1))


def _t_test(
  counts: tuple[int, int],
  difference: float,
  deviation: float,
  error: float,
  freedom: float,
) -> TTest:
  """The test of a mean difference with a standard error and degrees of freedom."""
  if error:
    t = difference / error
  else:
    t = math.copysign(math.inf, difference) if difference else 0.0
  p = float(2 * stats.t.sf(abs(t), freedom))
  interval = _interval(difference, error, freedom, LEVEL)
  return TTest(counts, difference, deviation, freedom, t, p, interval)


def _interval(
  mean: float, error: float, freedom: float, confidence: float
) -> tuple[float, float]:
  reach = float(stats.t.isf((1 - confidence) / 2, freedom)) * error
  return mean - reach, mean + reach
