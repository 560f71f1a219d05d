"""Measure the symmetry of a run's checkpoint, or of weights from anywhere.

    python -m run.profile --workdir=runs/digits_vgg [--out=DIR]
    python -m run.profile --weights=FILE [--weights=FILE2 ...] --out=DIR

Weights are files of PyTorch, safetensors, Keras or NumPy, or workdirs; no framework and
no knowledge of the network is needed. Several are drawn together, and where they have
strided layers, these are tested against their other layers (`strided.json`).
"""

from absl import flags

from run import command
from symjax.errors import UserError
from symjax.experiments.profile import profile_workdir
from symjax.experiments.weights import profile_weights

_WORKDIR = flags.DEFINE_string('workdir', None, 'of run.train')
_WEIGHTS = flags.DEFINE_multi_string('weights', None, 'file of weights; repeatable')
_OUT = flags.DEFINE_string('out', None, 'where to write; default: the workdir')
_LAYOUT = flags.DEFINE_string(
  'layout', None, 'axes of the kernels in --weights, OIHW or HWIO; default: detected'
)


def main() -> None:
  """Profiles the newest checkpoint of a run, or files of weights."""
  workdir, weights = _WORKDIR.value, _WEIGHTS.value
  if (workdir is None) == (weights is None):
    raise UserError('give either --workdir, of a run, or --weights, of files')
  if workdir is not None:
    if _LAYOUT.value is not None:
      raise UserError('--layout is of --weights; a run knows its own')
    step = profile_workdir(workdir, _OUT.value or workdir)
    print(f'profile of {workdir} at step {step}: {_OUT.value or workdir}')
    return
  if _OUT.value is None:
    raise UserError('--weights names no folder to write to: give --out=DIR')
  assert weights is not None  # One of the two is given.
  profile_weights(weights, _OUT.value, _LAYOUT.value)
  print(f'profile of {", ".join(weights)}: {_OUT.value}')


if __name__ == '__main__':
  command.run(main)
