r"""How the strides of a network read an image: a table, a foveation map, audit.json.

    python -m run.audit --config=configs/imagenet_resnet.py --size=224 [--out=DIR]
    python -m run.audit --workdir=runs/cifar10_vgg [--size=33]

It needs neither data nor weights. With `--sizes` it evaluates a trained network on
images of each size instead, and writes size_sweep.json and its figure:

    python -m run.audit --workdir=runs/cifar10_vgg --sizes=28,29,30,31,32,33,34,35,36
    python -m run.audit --weights=FILE --config=configs/cifar10_resnet.py \
      --sizes=32,33 --out=DIR
"""

from absl import flags

from run import command
from symjax.errors import UserError
from symjax.experiments.audit import (
  audit_config,
  audit_table,
  audit_verdict,
  size_of_run,
)
from symjax.experiments.data import image_size
from symjax.experiments.size_sweep import size_table, sweep_sizes
from symjax.experiments.subject import subject_of_run, subject_of_weights

_LARGEST = 4096  # Pixels a side: a foveation map has to fit in memory.

command.define_config(default='configs/digits_vgg.py')
command.define_data()
_WORKDIR = flags.DEFINE_string('workdir', None, 'of run.train, instead of --config')
_WEIGHTS = flags.DEFINE_string('weights', None, 'file for the network of --config')
_SIZE = flags.DEFINE_string('size', None, 'of the images: PIXELS or HEIGHTxWIDTH')
_SIZES = flags.DEFINE_list('sizes', None, 'evaluate the run at: PIXELS,PIXELS,...')
_OUT = flags.DEFINE_string(
  'out', None, 'where to write; default: the workdir, or runs/<config>-audit-<size>'
)


def main() -> None:
  """Audits a network at one size, or evaluates a trained one at several."""
  if _SIZES.value is None:
    _audit(_WORKDIR.value)
  else:
    _sweep(_WORKDIR.value, _SIZES.value)


def _audit(workdir: str | None) -> None:
  if (workdir is None) != command.is_configured():
    raise UserError('give either --workdir, of a run, or --config, of a new network')
  if workdir is None:
    config = command.config()
    planned = image_size(config['data'])
  else:
    config, planned = size_of_run(workdir)
  size = _size(_SIZE.value) or planned
  if size is None:
    raise UserError('the config leaves the size of images open: give --size=PIXELS')
  name = '-audit-' + 'x'.join(map(str, size))
  out = _OUT.value or workdir or command.default_workdir() + name
  record = audit_config(config, size, out)
  print(audit_table(record))
  print(f'{audit_verdict(record)}\n{out} holds audit.json and figures/foveation.png')


def _sweep(workdir: str | None, sizes: list[str]) -> None:
  sides = command.integers('sizes', sizes)
  if not sides or min(sides) < 1 or max(sides) > _LARGEST:
    raise UserError(
      f'--sizes={",".join(sizes)}: give sides of 1 to {_LARGEST} pixels, as in 32,33'
    )
  weights, places = _WEIGHTS.value, command.data_folders()
  out = _OUT.value or workdir
  if workdir and not weights and not command.is_configured():
    opened = subject_of_run(workdir, *places)
  elif weights and not workdir and command.is_configured():
    opened = subject_of_weights(command.config(), weights, *places)
  else:
    raise UserError(
      '--sizes evaluates a trained network: give --workdir, or --weights with --config'
    )
  if out is None:
    raise UserError('--weights names no folder to write to: give --out=DIR')
  with opened as subject:
    record = sweep_sizes(subject, sides, out)
  print(size_table(record))
  print(f'{out} holds size_sweep.json and figures/size_sweep.png')


def _size(text: str | None) -> tuple[int, int] | None:
  """[height, width] of a flag's value.

  Raises:
    UserError: it is neither one positive number nor two.
  """
  if text is None:
    return None
  sides = text.split('x')
  if len(sides) > 2 or not all(s.isascii() and s.isdigit() and int(s) for s in sides):
    raise UserError(f'--size={text}; give PIXELS or HEIGHTxWIDTH, such as 224')
  height, width = int(sides[0]), int(sides[-1])
  if max(height, width) > _LARGEST:
    raise UserError(f'--size={text}; give {_LARGEST} pixels a side at most')
  return height, width


if __name__ == '__main__':
  command.run(main)
