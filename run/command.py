"""What every program shares: its flags, and errors in one line."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from absl import app, flags, logging
from ml_collections import config_flags

from symjax.errors import UserError
from symjax.experiments.workdir import default_name

_BAD_INPUT = 2
_INTERRUPTED = 130  # 128 + SIGINT, as shells have it.


def run(
  main: Callable[..., None], positional: str | None = None, rest: bool = False
) -> None:
  """Parses the flags and runs `main`.

  Args:
    main: called with nothing, or with the positional arguments.
    positional: what the one positional argument is; None takes none.
    rest: whether any others may follow it.

  What a user can mend is one line on stderr and exit status 2: a `UserError`, a
  mistake in the flags, a file that cannot be read or written.
  """

  def guarded(argv: list[str]) -> None:
    try:
      expected = 1 if positional else 0
      if len(argv) - 1 < expected:
        raise UserError(f'missing argument: {positional}')
      if len(argv) - 1 > expected and not rest:
        raise UserError(f'unexpected argument {argv[-1]!r}; flags begin with --')
      main(*argv[1:])
    except UserError as error:
      _exit(str(error))
    except KeyboardInterrupt:
      sys.exit(_INTERRUPTED)
    except OSError as error:
      place = f'{error.filename}: ' if error.filename else ''
      _exit(f'{place}{error.strerror or error}')

  # Orbax and JAX narrate at lower levels; the programs print their own lines.
  logging.set_verbosity(logging.ERROR)
  app.run(guarded, flags_parser=_parse)


def define_config(default: str | None = None) -> None:
  """Defines `--config=FILE[:variant]`, overridden by `--config.group.key=value`.

  Args:
    default: the config without the flag; None makes the flag required.
  """
  config_flags.DEFINE_config_file('config', default, 'FILE.py[:variant]')
  if default is None:
    flags.mark_flag_as_required('config')


def define_data() -> None:
  """Defines `--data_dir` and `--manual_dir`."""
  flags.DEFINE_string('data_dir', None, "where TFDS keeps data sets; default: TFDS's")
  flags.DEFINE_string('manual_dir', None, 'where files downloaded by hand lie')


def define_processes() -> None:
  """Defines the flags by which several processes find each other."""
  flags.DEFINE_string('coordinator_address', None, 'host:port of process 0')
  flags.DEFINE_integer('num_processes', None, 'in all', lower_bound=1)
  flags.DEFINE_integer('process_id', None, 'of this process, from 0', lower_bound=0)


def is_configured() -> bool:
  """Whether `--config` was given, or a key of it."""
  return _config_flag().present > 0 or bool(_config_flag().override_values)


def config() -> dict[str, Any]:
  """The config as plain values.

  Raises:
    UserError: there is no such file.
  """
  _require_file(_config_file()[0])
  return flags.FLAGS.config.to_dict()


def read_config(file: str, overrides: Mapping[str, str]) -> dict[str, Any]:
  """The config that `--config=FILE --config.key=value ...` gives, as plain values.

  Args:
    file: `FILE.py` or `FILE.py:variant`.
    overrides: dotted key -> value, as given on the command line.

  Raises:
    UserError: no such file, variant or key, or a value of the wrong kind.
  """
  _require_file(file.partition(':')[0])
  values = flags.FlagValues()
  argv = ['', f'--config={file}']
  argv += [f'--config.{key}={value}' for key, value in overrides.items()]
  config_flags.DEFINE_config_file('config', flag_values=values, sys_argv=argv)
  _parsed(values, argv)
  return values.config.to_dict()


def _require_file(path: str) -> None:
  if not Path(path).is_file():
    known = ', '.join(sorted(map(str, Path('configs').glob('[a-z]*_*.py'))))
    raise UserError(f'no config file {path}; there are {known or "none in configs/"}')


def default_workdir(**own: str) -> str:
  """`runs/<config>[-variant][-hash of overrides]`.

  Args:
    **own: flags of the program that make another run of the same config.
  """
  overrides = _config_flag().override_values
  values = {key: repr(value) for key, value in overrides.items()} | own
  return f'runs/{default_name(*_config_file(), values)}'


def local_folder(path: str) -> str:
  """The path, if it is one of this machine's file systems.

  Raises:
    UserError: it is the address of a bucket.
  """
  if '://' in path:
    raise UserError(f'{path} is no folder; mount the bucket, and give its path')
  return path


def data_folders() -> tuple[str | None, str | None]:
  """`--data_dir` and `--manual_dir`."""
  return flags.FLAGS.data_dir, flags.FLAGS.manual_dir


def integers(flag: str, values: Sequence[str]) -> list[int]:
  """The values of a list flag as whole numbers.

  Raises:
    UserError: one is none.
  """
  try:
    return [int(value) for value in values]
  except ValueError:
    raise UserError(f'--{flag}={",".join(values)} are not whole numbers') from None


def shift(text: str) -> tuple[int, int]:
  """`--shift=DOWN,RIGHT` in pixels.

  Raises:
    UserError: it is not two whole numbers.
  """
  parts = text.split(',')
  if len(parts) != 2:
    raise UserError(f'--shift={text} is not DOWN,RIGHT in pixels, such as 0,8')
  down, right = integers('shift', parts)
  return down, right


def processes() -> tuple[str | None, int | None, int | None]:
  """`--coordinator_address`, `--num_processes` and `--process_id`."""
  values = flags.FLAGS
  return values.coordinator_address, values.num_processes, values.process_id


def _config_flag() -> Any:
  return flags.FLAGS['config']


def _config_file() -> tuple[str, str]:
  """The config's path and variant."""
  path, _, variant = _config_flag().config_filename.partition(':')
  return path, variant


def _parse(argv: list[str]) -> list[str]:
  app.define_help_flags()
  try:
    return _parsed(flags.FLAGS, argv)
  except UserError as error:
    _exit(str(error))


def _parsed(values: flags.FlagValues, argv: list[str]) -> list[str]:
  """Gives the flags their values; returns what is no flag.

  Raises:
    UserError: a mistake in the flags.
  """
  try:
    return values(argv)
  except (AttributeError, KeyError) as error:
    # ml_collections wraps the quoted key and its suggestion in a KeyError, and that at
    # times in an AttributeError. Anything else is a mistake in a config's own code.
    cause: Any = error
    while isinstance(cause, Exception) and cause.args:
      cause = cause.args[0]
    if not str(cause).startswith("'") or not str(cause).splitlines()[0].endswith("'"):
      raise
    raise UserError(f'unknown config key {_one_line(cause)}') from None
  except (flags.Error, UserError, TypeError, ValueError) as error:
    raise UserError(_one_line(str(error))) from None


def _one_line(text: str) -> str:
  return ' '.join(str(text).split())


def _exit(message: str) -> NoReturn:
  print(f'error: {message}', file=sys.stderr)
  sys.exit(_BAD_INPUT)
