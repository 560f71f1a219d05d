r"""Compile the steps of a config for a TPU slice, without a TPU: tables, compile.json.

    python -m run.compile --config=configs/imagenet_resnet.py --topology=v5e:16x16 \
      --config.train.batch_size=8192 --config.model.dtype=bfloat16 [--out=DIR]

Memory, operations, what the chips tell each other, the least time of a step, and the
largest batch that fits. It needs neither data nor weights, but libtpu, from
`symjax[tpu-compile]`.
"""

import shlex
import sys

import jax
from absl import flags

from run import command
from symjax.experiments.compilation import compilation_table, compile_config

command.define_config()
flags.DEFINE_string('data_dir', None, 'where TFDS keeps data sets, if the set is there')
_TOPOLOGY = flags.DEFINE_string('topology', None, 'CHIP:SHAPE, such as v5e:16x16')
_COMPILATIONS = flags.DEFINE_integer(
  'compilations', 4, 'to find the largest batch, at most; 0 looks for none'
)
_OUT = flags.DEFINE_string(
  'out', None, 'where to write; default: runs/<config>-compile-<topology>'
)
flags.mark_flag_as_required('topology')


def main() -> None:
  """Compiles, and says what came out."""
  jax.config.update('jax_platforms', 'cpu')  # A TPU here may be at work: leave it be.
  topology = str(_TOPOLOGY.value)
  name = f'{command.default_workdir()}-compile-{topology.replace(":", "-")}'
  out = command.local_folder(_OUT.value or name)
  record = compile_config(
    command.config(),
    topology,
    out,
    _COMPILATIONS.value,
    flags.FLAGS.data_dir,
    command=shlex.join(['python', '-m', 'run.compile', *sys.argv[1:]]),
  )
  print(f'{compilation_table(record)}\n\n{out} holds compile.json')


if __name__ == '__main__':
  command.run(main)
