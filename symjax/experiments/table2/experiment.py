"""Table 2 of "Understanding symmetries in deep networks", cell by cell."""

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from symjax import data, figures, records
from symjax.errors import UserError
from symjax.experiments.table2.cell import draw_splits, run_cell
from symjax.experiments.table2.compare import compare
from symjax.experiments.table2.protocol import Protocol
from symjax.experiments.table2.runs import make_cell
from symjax.experiments.table2.table import table
from symjax.experiments.workdir import Workdir


def table2(
  protocol: Protocol,
  depths: Sequence[int],
  methods: Sequence[str],
  workdir: str | Path,
  training: data.Dataset,
  test: data.Dataset,
  command: str | None = None,
) -> str:
  """Trains the cells that the folder does not hold yet, and compares all asked for.

  Writes `config.json` (the protocol), `cells/depth<D>-<method>.json` when a cell is
  done, and at the end `table2.json`, `table2.md` and `figures/table2.png`.

  Args:
    protocol: of all runs.
    depths: of networks.
    methods: keys of `METHODS`; the others are compared with the first.
    workdir: the folder of this protocol.
    training: the images that runs draw their splits from.
    test: the test split.
    command: that began this, for `table2.json`.

  Returns:
    The table as Markdown.

  Raises:
    UserError: an unknown method or depth, too few images, or a folder that holds
      something else.
  """
  _require_distinct('depth', depths)
  _require_distinct('method', methods)
  cells = {
    (depth, method): make_cell(protocol, depth, method, training.num_classes)
    for depth, method in itertools.product(depths, methods)
  }
  splits = draw_splits(protocol, len(training.images))
  folder = Workdir(Path(workdir))
  config = {
    **dataclasses.asdict(protocol),
    'dataset': training.name,
    'examples': len(training.images),
  }
  folder.require(config)
  with folder.locked():
    records.write_json(folder.config, config)
    (folder.path / 'cells').mkdir(exist_ok=True)
    found = []
    for (depth, method), cell in cells.items():
      path = folder.path / 'cells' / f'depth{depth}-{method}.json'
      if not path.exists():
        record = {'method': method, **run_cell(cell, splits, training, test)}
        records.write_json(path, record)
      found.append(records.read_object(path, 'depth', 'method', 'runs'))
    return _report(folder, config, found, command)


def _require_distinct(what: str, values: Sequence[Any]) -> None:
  if not values or len(set(values)) < len(values):
    raise UserError(f'give each {what} once, and at least one: {list(values)}')


def _report(
  folder: Workdir,
  config: dict[str, Any],
  found: Sequence[dict[str, Any]],
  command: str | None,
) -> str:
  """Writes the table, the numbers and the figure of finished cells."""
  results = compare(found)
  origins = [
    {key: cell[key] for key in ('commit', 'versions', 'hardware', 'devices')}
    for cell in found
  ]
  records.write_json(
    folder.path / 'table2.json',
    {
      'command': command,
      'protocol': config,
      **results,
      'origins': [
        origin for i, origin in enumerate(origins) if origin not in origins[:i]
      ],
    },
  )
  text = table(results)
  records.write_bytes(folder.path / 'table2.md', f'{text}\n'.encode())
  courses = [
    {
      'depth': cell['depth'],
      'label': cell['label'],
      'test_error': [run['test_error'] for run in cell['runs']],
      'cost': [run['cost'] for run in cell['runs']],
    }
    for cell in found
  ]
  figures.table2_courses(
    courses,
    folder.figures / 'table2.png',
    f'Test error and training cost of ArchBN on {config["dataset"]}, a '
    f'{config["loss_reduction"]} over batches of {config["batch_size"]} as the loss: '
    f'mean and standard deviation over {config["runs"]} runs, seed {config["seed"]}. '
    'A run that has ended counts with its last value.',
  )
  return text
