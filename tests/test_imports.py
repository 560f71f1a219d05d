"""The direction of imports: rooms of mathematics know nothing of the lab."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parent.parent
EVERYONE = {'errors', 'progress', 'records', 'statistics'}
ROOMS = {
  'symmetry': set(),
  'optim': set(),
  'data': set(),
  'checkpoints': set(),
  'figures': set(),
  'nn': {'symmetry'},
  'models': {'nn'},
  'training': {'checkpoints', 'symmetry'},
  'experiments': {
    'symmetry', 'optim', 'data', 'checkpoints', 'figures', 'nn', 'models', 'training',
  },
}  # fmt: skip
FOREIGN = {
  'symmetry': {'flax', 'optax', 'tensorflow_datasets', 'orbax', 'matplotlib'},
  'nn': {'optax', 'tensorflow_datasets', 'orbax', 'matplotlib'},
  'models': {'optax', 'tensorflow_datasets', 'orbax', 'matplotlib'},
  'optim': {'flax', 'tensorflow_datasets', 'orbax', 'matplotlib'},
  'data': {'flax', 'optax', 'orbax', 'matplotlib'},
  'checkpoints': {'flax', 'optax', 'tensorflow_datasets', 'matplotlib'},
  'figures': {'flax', 'optax', 'jax', 'tensorflow_datasets', 'orbax'},
  'training': {'tensorflow_datasets', 'orbax', 'matplotlib'},
  'experiments': {'matplotlib', 'tensorflow_datasets', 'orbax'},
}

EXCEPTIONS = {
  # Compared with where it is there; nothing needs it.
  'experiments/benchmark/eager.py': {'torch'},
  'experiments/benchmark/torch_training.py': {'torch'},
  'data/streaming.py': {'absl'},  # Grain wants its flags parsed.
}


def imported(path):
  """Dotted names of everything that a file imports."""
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.Import):
      yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      yield from (f'{node.module}.{alias.name}' for alias in node.names)


def files(room):
  found = list((ROOT / 'symjax' / room).rglob('*.py'))
  assert found
  return found


def test_every_room_is_listed():
  folders = {path.parent.name for path in (ROOT / 'symjax').glob('*/__init__.py')}
  assert folders == set(ROOMS)


@pytest.mark.parametrize('room', ROOMS)
def test_rooms_import_in_one_direction(room):
  used = {
    name.split('.')[1]
    for path in files(room)
    for name in imported(path)
    if name.startswith('symjax.')
  }
  assert used - {room} <= ROOMS[room] | EVERYONE


@pytest.mark.parametrize('room', ROOMS)
def test_rooms_keep_to_their_libraries(room):
  used = set()
  for path in files(room):
    libraries = {name.split('.')[0] for name in imported(path)}
    used |= libraries - EXCEPTIONS.get(str(path.relative_to(ROOT / 'symjax')), set())
  never = {'run', 'configs', 'absl', 'ml_collections', 'tensorflow', 'torch'}
  assert not used & (FOREIGN[room] | never)
