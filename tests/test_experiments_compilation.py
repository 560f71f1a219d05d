"""What the program of a step says: collectives, least time, the largest batch."""

import importlib
import importlib.util
import json
import math

import jax
import numpy as np
import pytest

from symjax.data.fake import fake_dataset
from symjax.errors import UserError
from symjax.experiments.compilation import compilation_table, compile_config, hlo
from symjax.experiments.compilation import compile as compilation
from symjax.experiments.compilation.chips import CHIPS, Chip
from symjax.experiments.compilation.collectives import (
  Transfer,
  bytes_sent,
  find_transfers,
  purpose_of,
  summarise,
)
from symjax.experiments.compilation.compile import choose_as_tpu
from symjax.experiments.compilation.largest_batch import find_largest_batch
from symjax.experiments.compilation.program import describe_program
from symjax.experiments.compilation.roofline import make_roofline
from symjax.experiments.compilation.steps import make_steps
from symjax.experiments.compilation.topology import Slice, find_slice
from symjax.experiments.data import blank_split
from symjax.experiments.setup import build_for
from symjax.training.devices import make_mesh

CONFIGS = ('imagenet_resnet', 'positioned_mnist', 'counts_vgg', 'svhn_vgg')
CHIP = Chip('slow', 100.0, 1000, 10.0, 1.0, ())

KERNEL = 'bf16[3,3,2,4]{3,2,1,0:T(8,128)(2,1)}'
STATISTIC = 'metadata={op_name="jit(step)/jvp(N)/bn/sum"}'
MEAN = 'metadata={op_name="jit(step)/jvp()/mean"}'
BACKWARD = 'metadata={op_name="jit(step)/transpose(jvp(N))/N.maps'
# As the compiler writes it: types with layouts, a fusion of several results under the
# path of one, an asynchronous pair, a copy without a path.
PROGRAM = f"""\
HloModule jit_step, entry_computation_layout={{()->f32[]}}

%add (x: f32[], y: f32[]) -> f32[] {{
  %x = f32[]{{:T(128)}} parameter(0)
  %y = f32[]{{:T(128)}} parameter(1)
  ROOT %sum = f32[] add(%x, %y)
}}

%fused (p: f32[8,4]) -> (f32[4], bf16[3,3,2,4]) {{
  %p = f32[8,4]{{1,0:T(8,128)}} parameter(0)
  %s = f32[4]{{0:T(128)S(1)}} reduce(%p), {STATISTIC}
  %k = {KERNEL} convolution(%p, %p), {BACKWARD}/conv/conv"}}
  ROOT %t = (f32[4]{{0:T(128)}}, /*index=1*/{KERNEL}) tuple(%s, %k)
}}

ENTRY %main (a: f32[8,4]) -> f32[] {{
  %a = f32[8,4]{{1,0:T(8,128)}} parameter(0)
  %f = (f32[4]{{0:T(128)}}, {KERNEL}) fusion(%a), calls=%fused, {STATISTIC}
  %g0 = f32[4]{{0:T(128)}} get-tuple-element(%f), index=0
  %g1 = {KERNEL} get-tuple-element(%f), index=1
  %c1 = {KERNEL} copy(%g1)
  %l = f32[]{{:T(128)}} negate(%a), {MEAN}
  %r = (f32[4]{{0:T(128)}}, {KERNEL}, f32[]) all-reduce(%g0, /*index=1*/%c1, %l), {MEAN}
  %b = f32[4]{{0:T(128)}} negate(%g0), {BACKWARD}/bn/sum"}}
  %q = f32[4]{{0:T(128)}} all-reduce-start(%b), channel_id=2, to_apply=%add
  %d = f32[4]{{0:T(128)}} all-reduce-done(%q)
  ROOT %out = f32[]{{:T(128)}} get-tuple-element(%r), index=2
}}
"""


def test_joined_collectives_are_told_apart_by_what_computes_each_operand():
  rows = summarise(find_transfers(hlo.parse(PROGRAM), {'bn'}))
  kept = ('purpose', 'dtype', 'collectives', 'arrays', 'numbers', 'bytes')
  assert [tuple(row[key] for key in kept) for row in rows] == [
    ('gradients', 'bf16', 1, 1, 72, 144),
    ('batch statistics', 'f32', 1, 1, 4, 16),
    ('batch statistics, backward', 'f32', 1, 1, 4, 16),
    ('metrics', 'f32', 1, 1, 1, 4),
  ]
  assert {row['kind'] for row in rows} == {'all-reduce'}


@pytest.mark.parametrize(
  'dtype, shape, nbytes',
  [('f32', (2, 3), 24), ('bf16', (), 2), ('pred', (5,), 5), ('f8e4m3fn', (7,), 7)],
)
def test_arrays_know_their_bytes(dtype, shape, nbytes):
  assert hlo.Array(dtype, shape).nbytes == nbytes


def test_modules_are_found_by_whole_names_wherever_they_lie():
  vector, scalar = hlo.Array('f32', (4,)), hlo.Array('f32', ())
  origin = 'jit(step)/transpose(jvp(R))/R.maps/layer1_0/bn1/sum'
  assert purpose_of(origin, vector, {'layer1_0/bn1'}) == 'batch statistics, backward'
  assert purpose_of(origin, vector, {'layer1_0/bn'}) == 'gradients'
  assert purpose_of(origin, scalar, {'layer1_0/bn1'}) == 'metrics'
  assert purpose_of('jit(step)/gather', vector, {'layer1_0/bn1'}) == 'other'


def test_bytes_sent_are_those_of_a_ring():
  """By counting: n - 1 shares to gather, as many to sum, of n to an array."""

  def sent(kind):
    transfer = Transfer('c', kind, hlo.Array('f32', (6,)), '', 'gradients')
    return bytes_sent([transfer], chips=3)

  assert sent('reduce-scatter') == 2 * 8
  assert sent('all-reduce') == 2 * sent('reduce-scatter')
  assert sent('all-gather') == 2 * 24
  assert sent('collective-permute') == 24


@pytest.mark.parametrize(
  'work, bound, seconds',
  [
    ((500.0, 20.0, 2.0), 'compute', 5.0),
    ((100.0, 30.0, 2.0), 'memory', 3.0),
    ((100.0, 20.0, 7.0), 'interconnect', 7.0),
  ],
)
def test_the_slowest_part_bounds_a_step(work, bound, seconds):
  found = make_roofline(CHIP, *work)
  assert (found.bound, found.seconds) == (bound, seconds)


def test_published_peaks_give_the_published_ridge():
  """v5e: 197 TFLOP/s over 819 GB/s is 240 operations a byte."""
  chip = CHIPS['v5e']
  ridge = make_roofline(chip, 240.54e6, 1e6, 0)
  assert ridge.compute_seconds == pytest.approx(ridge.memory_seconds, rel=1e-4)


def memory_of(base, each, memory, tried):
  """Peak memory that is linear in the batch, and None beyond what there is."""

  def peak(batch):
    tried.append(batch)
    needed = base + each * batch
    return needed if needed <= memory else None

  return peak


@pytest.mark.parametrize('base, each', [(0, 7), (500_000, 3), (900_000, 11), (10, 900)])
@pytest.mark.parametrize('first', [1, 32, 4096])
def test_the_search_brackets_the_largest_batch(base, each, first):
  memory = 1_000_000
  tried = []
  peak = memory_of(base, each, memory, tried)
  found = find_largest_batch(peak, first, peak(first), memory, compilations=30)
  truth = (memory - base) // each
  assert found.fits <= truth < found.exceeds
  assert found.exceeds - found.fits <= max(1, found.fits // 8)
  assert len(set(tried)) == len(tried) == found.compilations + 1 <= 20


def test_the_search_keeps_to_its_compilations():
  tried = []
  peak = memory_of(0, 1, 10**9, tried)
  found = find_largest_batch(peak, 8, 8, 10**9, compilations=2)
  assert tried == [64, 512] and found.fits == 512 and found.exceeds is None
  none = find_largest_batch(lambda batch: None, 8, None, 10**9, compilations=9)
  assert (none.fits, none.exceeds) == (0, 1)
  untouched = find_largest_batch(peak, 8, 8, 10**9, compilations=0)
  assert untouched.as_json(4)['fits'] == 32 and untouched.compilations == 0


def config_of(name, variant=''):
  return importlib.import_module(f'configs.{name}').get_config(variant).to_dict()


@pytest.fixture(scope='module')
def steps():
  """The real steps of a narrow VGG with BatchNorm, over the four devices here."""
  config = config_of('svhn_vgg', 'cpu')
  config['model'] |= {'depth': 11, 'stages': 3, 'width': 1 / 16, 'algorithm': 'xla'}
  dataset = fake_dataset(
    'fake', 'train', num_classes=10, image_shape=(16, 16, 3), num_examples=256
  )
  with jax.numpy_dtype_promotion('standard'):  # optax's schedules mix dtypes.
    return make_steps(build_for(config, dataset), make_mesh(8), dataset)


@pytest.fixture(scope='module')
def train(steps):
  with jax.numpy_dtype_promotion('standard'):
    compiled = steps.compile_train(8)
  return describe_program(compiled, CHIP, 4, steps.normalized)


def nbytes(tree):
  return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def bytes_of(description, purpose):
  rows = description['collectives']
  return sum(row['bytes'] for row in rows if row['purpose'] == purpose)


def test_each_gradient_is_reduced_once_in_its_own_dtype(steps, train):
  leaves = jax.tree.leaves_with_path(steps.state.params)
  scaled = {path[:-1] for path, _ in leaves if path[-1].key == 'scale'}
  kernels = [leaf for path, leaf in leaves if path[:-1] not in scaled]
  own = nbytes(steps.state.params) - nbytes(kernels)
  assert steps.normalized and own == 4 * steps.normalization_parameters > 0
  assert bytes_of(train, 'gradients') == nbytes(kernels)
  rows = [row for row in train['collectives'] if row['purpose'] == 'gradients']
  assert {row['dtype'] for row in rows} == {'f32'}
  assert sum(row['arrays'] for row in rows) == len(kernels)


def test_batch_statistics_are_counted_apart(steps, train):
  """A mean and a mean square of each channel forward; scale and bias backward."""
  running = nbytes(steps.state.batch_stats)
  assert bytes_of(train, 'batch statistics') == running
  backward = bytes_of(train, 'batch statistics, backward')
  assert backward >= 4 * steps.normalization_parameters
  assert bytes_of(train, 'other') == 0
  assert 0 < bytes_of(train, 'metrics') <= 5 * 4


def test_the_state_is_donated_and_the_memory_adds_up(steps, train):
  memory = train['memory']
  state = nbytes(steps.state)
  images = 8 // 4 * (16 * 16 * 3 + 4)
  assert memory['arguments'] == pytest.approx(state + images, rel=0.01)
  assert memory['reused'] == pytest.approx(state, rel=0.01)


def test_operations_are_those_of_the_share_of_a_device(steps, train):
  """Three times the forward pass, but for the gradient of the images."""
  layers = [x for x in steps.setup.layers if x.kind == 'conv']
  forward = 2 * sum(
    math.prod(x.output_shape) * math.prod(x.window.kernel) * x.input_shape[-1]
    for x in layers
  )
  assert 0.7 < train['flops'] / (2 * 3 * forward) < 1.5


@pytest.mark.parametrize('name', CONFIGS)
def test_shapes_are_known_without_data(name, tmp_path):
  config = config_of(name)
  blank = blank_split(config['data'], str(tmp_path))
  image, classes, kind = {
    'imagenet_resnet': ((224, 224, 3), 1000, 'classification'),
    'positioned_mnist': ((40, 40, 1), 4, 'classification'),
    'counts_vgg': ((48, 48, 3), 1, 'counting'),
    'svhn_vgg': ((32, 32, 3), 10, 'classification'),
  }[name]
  assert blank.images.shape[1:] == image and blank.images.dtype == np.uint8
  assert (blank.num_classes, blank.kind) == (classes, kind)
  assert len(blank.labels) == len(blank.images) and blank.images.base.nbytes == 1


def test_images_and_labels_of_a_segmentation_have_the_size_that_was_asked_for(tmp_path):
  blank = blank_split(config_of('camvid_segnet', 'cpu')['data'], str(tmp_path))
  assert blank.images.shape[1:] == (90, 120, 3)
  assert blank.labels.shape == blank.images.shape[:3]
  assert (blank.num_classes, blank.kind) == (11, 'segmentation')
  assert blank.ignore_label == 11 and blank.class_names[0] == 'sky'


def test_images_of_no_known_size_are_refused(tmp_path):
  group = config_of('imagenet_resnet')['data'] | {'image_size': None}
  with pytest.raises(UserError, match='vary in size: give data.image_size'):
    blank_split(group, str(tmp_path))


def test_automatic_convolutions_are_what_they_are_on_a_tpu(monkeypatch):
  """Traced with a TPU at hand, 'auto' gives the program that is compiled here."""
  config = config_of('svhn_vgg', 'cpu')
  config['model'] |= {'depth': 11, 'algorithm': 'auto'}
  dataset = fake_dataset(
    'fake', 'train', num_classes=10, image_shape=(32, 32, 3), num_examples=256
  )

  def traced(config):
    model = build_for(config, dataset).model
    images = jax.ShapeDtypeStruct((128, 32, 32, 3), np.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), images)
    apply = jax.make_jaxpr(lambda v, x: model.apply(v, x, train=False))
    return str(apply(variables, images))

  here, chosen = traced(config), traced(choose_as_tpu(config))
  monkeypatch.setattr(jax, 'default_backend', lambda: 'tpu')
  assert traced(config) == chosen != here


def test_what_cannot_be_compiled_is_refused_in_a_line(tmp_path):
  config = config_of('svhn_vgg')

  def refused(topology, compilations=0, **train):
    changed = config | {'train': config['train'] | train}
    with pytest.raises(UserError) as error:
      compile_config(changed, topology, tmp_path / 'out', compilations)
    assert '\n' not in str(error.value) and not (tmp_path / 'out').exists()
    return str(error.value)

  assert 'give CHIP:SHAPE, such as v5e:16x16, with a chip of v5e' in refused('v9:2x2')
  assert 'with a chip of v5e, v5p, v6e' in refused('v5e-16')
  assert 'no such slice of v5e; choose from 1x1, 2x2' in refused('v5e:3x3')
  assert '16x16x24' in refused('v5p:16x16')
  assert '--compilations=-1; give 0 or more' in refused('v5e:2x2', compilations=-1)


def test_a_missing_compiler_names_its_extra(monkeypatch):
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
  with pytest.raises(UserError, match=r"pip install 'symjax\[tpu-compile\]'"):
    find_slice('v5e:2x4')


def test_a_compilation_leaves_its_record_and_its_tables(
  tmp_path, monkeypatch, capsys, standard_promotion
):
  """From the config to the file, on the devices here in place of a slice's."""
  here = Slice(CHIP, jax.devices(), 'a compiler')
  monkeypatch.setattr(compilation, 'find_slice', lambda topology: here)
  config = config_of('mnist_connected', 'smoke')
  config['model'] |= {'features': (4,), 'head': 'average'}
  config['data']['name'] = 'mnist'
  record = compile_config(config, 'v5e:2x2', tmp_path, 1, str(tmp_path), 'a command')
  assert json.loads((tmp_path / 'compile.json').read_text()) == record
  assert (record['chips'], record['compiler']) == (len(here.devices), 'a compiler')
  assert record['largest_batch']['compilations'] == 1
  assert capsys.readouterr().err.count('compiled the train step') == 2
  text = compilation_table(record)
  assert f'{record["parameters"]:,} parameters: each once' in text
  assert 'bound by' in text and 'further compilations: 1' in text
  nowhere = {'fits': 0, 'fits_per_chip': 0, 'exceeds': 4, 'compilations': 2}
  missing = compilation_table(record | {'train': None, 'largest_batch': nowhere})
  assert 'does not fit' in missing and 'gradients' not in missing
  assert missing.endswith(
    'no batch was seen to fit; 4 does not fit (further compilations: 2)'
  )


needs_libtpu = pytest.mark.skipif(
  importlib.util.find_spec('libtpu') is None, reason='libtpu is not installed'
)


@needs_libtpu
def test_a_batch_that_does_not_divide_among_the_chips_is_refused(tmp_path):
  config = config_of('svhn_vgg')
  config['train']['batch_size'] = 100
  with pytest.raises(UserError, match='100 does not divide among 8 .*batch_size=104'):
    compile_config(config, 'v5e:2x4', tmp_path / 'out', 0)


@needs_libtpu
def test_a_small_network_compiles_for_a_slice(tmp_path, standard_promotion):
  config = config_of('mnist_connected', 'smoke')
  config['model'] |= {'features': (4,), 'head': 'average'}
  record = compile_config(config, 'v5e:2x2', tmp_path, 0)
  assert json.loads((tmp_path / 'compile.json').read_text()) == record
  assert record['chips'] == 4 and record['eval']['memory']['peak'] > 0
  reduced = [r for r in record['train']['collectives'] if r['purpose'] == 'gradients']
  assert sum(row['numbers'] for row in reduced) == record['parameters']
  assert 'each once' in compilation_table(record)
