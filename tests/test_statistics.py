import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import special, stats

from symjax.errors import UserError
from symjax.statistics import (
  holm,
  jackknife_interval,
  mean_interval,
  paired_t_test,
  rank_test,
  share_interval,
  welch_t_test,
)

# Student (1908): hours of sleep gained by ten patients under two drugs.
SLEEP = (
  [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0],
  [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4],
)
TESTS = [paired_t_test, welch_t_test]

# Multiples of 1/64: sums and differences of them are exact in floats.
dyadic = st.integers(-(2**20), 2**20).map(lambda i: i / 64)
pairs = st.lists(st.tuples(dyadic, dyadic), min_size=2, max_size=12).map(
  lambda rows: tuple(list(column) for column in zip(*rows, strict=True))
)
shares = st.lists(st.floats(0, 1), max_size=8)


def tail(t, freedom):
  """Two-sided, as the regularised incomplete beta function gives it."""
  return special.betainc(freedom / 2, 0.5, freedom / (freedom + t**2))


def integrated_tail(t, freedom):
  """Two-sided, by Simpson's rule over the density up to t."""
  x = np.linspace(0, abs(t), 20_001)
  logarithm = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)
  scale = math.exp(logarithm) / math.sqrt(freedom * math.pi)
  density = scale * (1 + x**2 / freedom) ** (-(freedom + 1) / 2)
  weights = np.where(np.arange(x.size) % 2, 4, 2) / 3
  weights[[0, -1]] = 1 / 3
  return 1 - 2 * float(density @ weights) * (x[1] - x[0])


def distance_from_uniform(p_values):
  """Kolmogorov's statistic times the root of n: above 1.63 in 1% of samples."""
  p = np.sort(p_values)
  steps = np.arange(p.size + 1) / p.size
  return math.sqrt(p.size) * max(np.max(steps[1:] - p), np.max(p - steps[:-1]))


def test_the_sleep_data_paired():
  test = paired_t_test(*SLEEP)
  assert (test.counts, test.degrees_of_freedom) == ((10, 10), 9)
  assert test.mean_difference == pytest.approx(-1.58)
  assert test.standard_deviation == pytest.approx(1.2300, abs=5e-5)
  assert test.t == pytest.approx(-4.0621, abs=5e-5)
  assert test.p == pytest.approx(0.002833, abs=5e-7)
  assert test.interval == pytest.approx((-2.4598858, -0.7001142), abs=5e-8)


def test_the_sleep_data_unpaired():
  test = welch_t_test(*SLEEP)
  assert test.counts == (10, 10)
  assert test.t == pytest.approx(-1.8608, abs=5e-5)
  assert test.degrees_of_freedom == pytest.approx(17.776, abs=5e-4)
  assert test.p == pytest.approx(0.07939, abs=5e-6)
  assert test.interval == pytest.approx((-3.3654832, 0.2054832), abs=5e-8)


def test_the_sleep_data_of_one_drug():
  assert mean_interval(SLEEP[1]) == pytest.approx((0.8976775, 3.7623225), abs=5e-8)


@pytest.mark.parametrize('seed', range(5))
def test_agreement_with_formulas_written_out(seed):
  rng = np.random.default_rng(seed)
  first, second = rng.normal(2, 0.1, 5 + seed), rng.normal(2.1, 0.3, 5 + seed)
  paired = paired_t_test(first, second)
  differences = first - second
  t = math.sqrt(5 + seed) * differences.mean() / differences.std(ddof=1)
  assert paired.t == pytest.approx(t, rel=1e-12)
  assert paired.p == pytest.approx(tail(t, 4 + seed), rel=1e-9)
  assert paired.p == pytest.approx(integrated_tail(t, 4 + seed), abs=1e-9)

  second = rng.normal(2.1, 0.3, 9)  # Of a size of its own.
  welch = welch_t_test(first, second)
  a, b = first.var(ddof=1) / len(first), second.var(ddof=1) / 9
  t = (first.mean() - second.mean()) / math.sqrt(a + b)
  freedom = (a + b) ** 2 / (a**2 / (len(first) - 1) + b**2 / 8)
  assert welch.counts == (5 + seed, 9)
  assert welch.degrees_of_freedom == pytest.approx(freedom, rel=1e-12)
  assert welch.standard_deviation == pytest.approx(
    math.hypot(first.std(ddof=1), second.std(ddof=1))
  )
  assert welch.t == pytest.approx(t, rel=1e-12)
  assert welch.p == pytest.approx(tail(t, freedom), rel=1e-9)
  assert welch.p == pytest.approx(integrated_tail(t, freedom), abs=1e-9)


@pytest.mark.parametrize('seed', range(5))
def test_the_ends_of_an_interval_are_differences_with_p_of_five_percent(seed):
  rng = np.random.default_rng(seed)
  first, second = rng.normal(size=(2, 6))
  for t_test, end in itertools.product(TESTS, (0, 1)):
    moved = first - t_test(first, second).interval[end]
    assert t_test(moved, second).p == pytest.approx(0.05, rel=1e-9)
  for confidence in (0.5, 0.95, 0.999):
    for end in mean_interval(first, confidence):
      p = paired_t_test(first, np.full(6, end)).p
      assert p == pytest.approx(1 - confidence, rel=1e-9)


@pytest.mark.parametrize('t_test', TESTS)
@given(pairs)
@example(([0.1, 0.1, 0.1], [0.1, 0.1, 0.1]))
def test_exchanging_the_samples_changes_the_sign_alone(t_test, samples):
  first, second = samples
  forth, back = t_test(first, second), t_test(second, first)
  assert back.mean_difference == -forth.mean_difference
  assert back.t == -forth.t
  assert back.interval == (-forth.interval[1], -forth.interval[0])
  assert back.p == forth.p
  assert back.standard_deviation == forth.standard_deviation


@pytest.mark.parametrize('t_test', TESTS)
@given(pairs, dyadic)
def test_a_shift_of_both_samples_changes_nothing(t_test, samples, shift):
  moved = [[value + shift for value in sample] for sample in samples]
  expected = dataclasses.asdict(t_test(*samples))
  for name, value in dataclasses.asdict(t_test(*moved)).items():
    assert value == pytest.approx(expected[name], rel=1e-6, abs=1e-6), name


@pytest.mark.parametrize('t_test', TESTS)
@given(pairs, st.sampled_from([2.0**-30, 0.25, 1024.0]))
def test_p_does_not_depend_on_the_unit(t_test, samples, unit):
  scaled = [[unit * value for value in sample] for sample in samples]
  assert t_test(*scaled).p == t_test(*samples).p
  assert t_test(*scaled).t == t_test(*samples).t


@given(pairs)
def test_p_is_a_probability_and_the_interval_is_around_the_difference(samples):
  for test in (paired_t_test(*samples), welch_t_test(*samples)):
    assert 0 <= test.p <= 1
    assert test.interval[0] <= test.mean_difference <= test.interval[1]
    assert test.standard_deviation >= 0


@pytest.mark.parametrize('t_test', TESTS)
@pytest.mark.parametrize('count', [2, 3, 10])
def test_samples_without_any_variance(t_test, count):
  # 0.1 and 0.3 have sums that rounding takes away from their multiples.
  same = t_test(count * [0.1], count * [0.1])
  assert (same.t, same.p, same.interval) == (0.0, 1.0, (0.0, 0.0))
  apart = t_test(count * [0.1], count * [0.3])
  assert (apart.t, apart.p) == (-math.inf, 0.0)
  assert apart.interval == (0.1 - 0.3, 0.1 - 0.3)
  assert (same.standard_deviation, apart.standard_deviation) == (0, 0)
  assert t_test(count * [0.3], count * [0.1]).t == math.inf


def test_pairs_that_vary_together_have_differences_that_do_not():
  first, second = [1.0, 2.0, 4.0], [1.5, 2.5, 4.5]
  test = paired_t_test(first, second)
  assert (test.mean_difference, test.standard_deviation, test.p) == (-0.5, 0, 0)
  assert paired_t_test(first, first).p == 1
  assert 0.5 < welch_t_test(first, second).p < 1


def test_welch_with_one_sample_that_does_not_vary():
  values = np.random.default_rng(0).normal(size=7)
  test = welch_t_test(values, 3 * [0.1])
  known = paired_t_test(values, 7 * [0.1])  # Student's test against a known mean.
  assert test.degrees_of_freedom == pytest.approx(6)
  assert (test.t, test.p) == pytest.approx((known.t, known.p))
  assert test.interval == pytest.approx(known.interval)


def test_an_interval_of_equal_values_is_that_value():
  assert mean_interval([0.1, 0.1, 0.1]) == (0.1, 0.1)


def test_the_jackknife_of_a_mean_is_the_interval_of_a_mean():
  values = np.array(SLEEP[1])
  without = (values.sum() - values) / 9
  found = jackknife_interval(values.mean(), without)
  assert found == pytest.approx(mean_interval(values), rel=1e-12)


def test_the_jackknife_of_a_ratio_is_the_delta_method_of_many_values():
  """Of sums of x and y with the ratio r: the variance of x - r y, over (n mean y)^2."""
  rng = np.random.default_rng(0)
  y = rng.uniform(1, 2, 4000)
  x = y * rng.normal(0.5, 0.1, 4000)
  ratio = x.sum() / y.sum()
  without = (x.sum() - x) / (y.sum() - y)
  low, high = jackknife_interval(ratio, without)
  error = (x - ratio * y).std(ddof=1) / y.mean() / math.sqrt(4000)
  assert (high - low) / 2 == pytest.approx(1.9605 * error, rel=1e-2)
  assert (high + low) / 2 == pytest.approx(ratio, rel=1e-12)


def test_p_is_uniform_when_nothing_differs():
  rng = np.random.default_rng(0)
  samples = rng.normal(5, [[1.0], [2.0]], size=(2000, 2, 4))
  tests = [paired_t_test(*pair) for pair in samples]
  assert distance_from_uniform([test.p for test in tests]) < 1.63
  # So small a sample of pairs tells Student's distribution from the normal one.
  normal = 2 * stats.norm.sf([abs(test.t) for test in tests])
  assert distance_from_uniform(normal) > 3


def test_welch_p_is_uniform_where_equal_variances_would_be_a_mistake():
  rng = np.random.default_rng(1)
  few, many = rng.normal(5, 4, (2000, 6)), rng.normal(5, 1, (2000, 24))
  p_values = [welch_t_test(*pair).p for pair in zip(few, many, strict=True)]
  assert distance_from_uniform(p_values) < 1.63
  assert distance_from_uniform(stats.ttest_ind(few, many, axis=1).pvalue) > 3


def test_intervals_hold_the_mean_as_often_as_they_promise():
  rng = np.random.default_rng(2)
  for confidence in (0.5, 0.95):
    intervals = [mean_interval(rng.normal(3, 1, 3), confidence) for _ in range(2000)]
    held = np.mean([low < 3 < high for low, high in intervals])
    deviation = math.sqrt(confidence * (1 - confidence) / 2000)
    assert abs(held - confidence) < 3 * deviation


def test_power_grows_with_the_difference():
  first, second = map(np.array, SLEEP)
  for t_test in TESTS:
    p_values = [t_test(first - shift, second).p for shift in range(5)]
    assert sorted(p_values, reverse=True) == p_values


def test_holm_of_a_worked_example():
  # Four tests, of which two survive at 5%: 0.005 * 4 and 0.01 * 3.
  assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_of_none_one_and_many():
  assert holm([]) == []
  assert holm([0.2]) == [0.2]
  assert holm([0.4, 0.9, 0.4]) == [1.0, 1.0, 1.0]


@given(shares, st.sampled_from([0.01, 0.05, 0.3]))
def test_holm_rejects_what_stepping_down_rejects(p_values, alpha):
  rejected = set()
  ascending = sorted(range(len(p_values)), key=p_values.__getitem__)
  for left, i in zip(range(len(p_values), 0, -1), ascending, strict=True):
    if p_values[i] * left > alpha:
      break
    rejected.add(i)
  assert {i for i, p in enumerate(holm(p_values)) if p <= alpha} == rejected


@given(shares)
def test_holm_is_between_nothing_and_bonferroni_and_keeps_ranks(p_values):
  adjusted = holm(p_values)
  for p, corrected in zip(p_values, adjusted, strict=True):
    assert p <= corrected <= min(1, len(p_values) * p)
  for i, j in itertools.permutations(range(len(p_values)), 2):
    if p_values[i] <= p_values[j]:
      assert adjusted[i] <= adjusted[j]


@given(shares, st.randoms())
@settings(max_examples=50)
def test_holm_goes_with_the_order_of_its_input(p_values, random):
  order = random.sample(range(len(p_values)), len(p_values))
  adjusted = holm(p_values)
  assert holm([p_values[i] for i in order]) == [adjusted[i] for i in order]


@given(shares.filter(len), st.floats(0, 1))
def test_holm_never_falls_when_a_p_value_grows(p_values, larger):
  grown = [max(p_values[0], larger), *p_values[1:]]
  for before, after in zip(holm(p_values), holm(grown), strict=True):
    assert before <= after


@pytest.mark.parametrize('t_test', TESTS)
@pytest.mark.parametrize(
  'first, second, message',
  [
    ([1.0], [2.0], 'the first sample needs two values or more, and holds 1'),
    ([], [], 'the first sample needs two values or more, and holds 0'),
    ([1, 2, math.nan], [1, 2, 3], 'value 3 of 3 in the first sample is nan; it must'),
    ([1, 2], [-math.inf, 3], 'value 1 of 2 in the second sample is -inf; it must'),
    ([1, None], [1, 3], 'value 2 of 2 in the first sample is nan; it must be a finite'),
  ],
)
def test_samples_unfit_for_a_test(t_test, first, second, message):
  with pytest.raises(UserError, match=message) as caught:
    t_test(first, second)
  assert '\n' not in str(caught.value)


@given(st.lists(st.integers(-50, 50), min_size=2, max_size=7, unique=True), st.data())
@settings(max_examples=50)
def test_the_rank_test_counts_all_ways_to_deal_the_ranks(values, data):
  count = data.draw(st.integers(1, len(values) - 1))
  first, second = values[:count], values[count:]

  def rank_sum(members):
    return sum(sorted(values).index(value) for value in members)

  center = count * (len(values) - 1) / 2
  distance = abs(rank_sum(first) - center)
  dealt = list(itertools.combinations(values, count))
  far = sum(abs(rank_sum(members) - center) >= distance for members in dealt)
  assert rank_test(first, second) == pytest.approx(far / len(dealt))
  assert rank_test(second, first) == pytest.approx(far / len(dealt))


def test_samples_unfit_for_ranks():
  with pytest.raises(UserError, match='the second sample needs one value or more'):
    rank_test([1.0], [])
  with pytest.raises(UserError, match='value 2 of 2 in the first sample is nan'):
    rank_test([1.0, math.nan], [2.0])


def test_pairs_need_samples_of_one_length():
  with pytest.raises(UserError, match='hold 2 and 3 values; a paired test needs'):
    paired_t_test([1, 2], [1, 2, 3])
  with pytest.raises(UserError, match='the second sample needs two values or more'):
    welch_t_test([1, 2], [1])


def test_mistakes_in_the_rest():
  with pytest.raises(UserError, match='the sample needs two values or more, and holds'):
    mean_interval([1.0])
  with pytest.raises(UserError, match='the confidence is 95; it must lie between 0'):
    mean_interval([1, 2], 95)
  for wrong, named in ((math.nan, 'nan'), (-0.1, '-0.1'), (1.5, '1.5')):
    with pytest.raises(UserError, match=f'the p value {named} is not between 0 and 1'):
      holm([0.5, wrong])


@pytest.mark.parametrize(
  'right, count, low, high',
  [
    (81, 263, 0.2553, 0.3662),
    (15, 148, 0.0624, 0.1605),
    (0, 20, 0.0, 0.1611),
    (1, 29, 0.0061, 0.1718),
  ],
)
def test_the_interval_of_a_share_is_the_published_one(right, count, low, high):
  """Newcombe, Statistics in Medicine 17 (1998), table I, method 3."""
  values = [1.0] * right + [0.0] * (count - right)
  assert share_interval(values) == pytest.approx((low, high), abs=5e-5)


def test_repeating_an_image_within_its_cluster_adds_nothing():
  values = np.random.default_rng(0).integers(0, 2, 60)
  once = share_interval(values)
  twice = share_interval(np.repeat(values, 2), np.repeat(np.arange(60), 2))
  assert twice == pytest.approx(once, rel=1e-9)
  blind = share_interval(np.repeat(values, 2))
  assert blind[1] - blind[0] < 0.8 * (once[1] - once[0])


def test_unanimous_values_count_as_their_clusters():
  assert share_interval([1.0] * 80, np.repeat(np.arange(10), 8)) == pytest.approx(
    share_interval([1.0] * 10)
  )
  assert share_interval([1.0] * 80)[1] == pytest.approx(1)


def test_the_interval_of_a_share_of_clusters_holds_the_truth_as_often_as_it_says():
  """400 splits of 40 clusters of 8 images, of which 4 of 10 follow the cluster."""
  rng = np.random.default_rng(0)
  clusters = np.repeat(np.arange(40), 8)
  held = blind = 0
  for _ in range(400):
    common = rng.random(40) < 0.9
    own = rng.random((40, 8)) < 0.9
    values = np.where(rng.random((40, 8)) < 0.6, own, common[:, None]).ravel()
    low, high = share_interval(values, clusters)
    held += low <= 0.9 <= high
    low, high = share_interval(values)
    blind += low <= 0.9 <= high
  # Four standard deviations of a count of 380.
  assert abs(held - 380) < 4 * math.sqrt(400 * 0.95 * 0.05)
  assert blind < held


def test_a_weight_is_so_many_values_of_one_cluster():
  """As the pixels of an image are."""
  rng = np.random.default_rng(0)
  shares, weights = rng.random(30), rng.integers(1, 9, 30)
  each, images = np.repeat(shares, weights), np.repeat(np.arange(30), weights)
  assert share_interval(shares, weights=weights) == pytest.approx(
    share_interval(each, images), rel=1e-9
  )
  assert share_interval(shares, weights=[0.5] * 30) == pytest.approx(
    share_interval(shares), rel=1e-9
  )


@pytest.mark.parametrize(
  'weights, message',
  [
    ([1.0], '1 weights were given for 2 values'),
    ([1.0, 0.0], 'the weight 0 is not positive'),
    ([1.0, math.nan], 'the weight nan is not positive'),
  ],
)
def test_weights_that_weigh_nothing_are_named(weights, message):
  with pytest.raises(UserError, match=message):
    share_interval([0.5, 1.0], weights=weights)


@pytest.mark.parametrize(
  'values, clusters, message',
  [
    ([], None, 'the mean of one value or more, each from 0 to 1'),
    ([0.5, 1.2], None, 'the mean of one value or more, each from 0 to 1'),
    ([0.5, math.nan], None, 'the mean of one value or more, each from 0 to 1'),
    ([0.5, 1.0], [0], '1 clusters were given for 2 values'),
  ],
)
def test_values_that_are_no_shares_are_named(values, clusters, message):
  with pytest.raises(UserError, match=message):
    share_interval(values, clusters)
