"""Loss, test metric and learning rate over the course of training."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from symjax.figures import page, style

PANELS = {
  'loss': {'train_loss': 'training loss', 'test_loss': 'test loss'},
  'test metric': {
    'test_accuracy': 'test accuracy',
    'test_miou': 'test mean IoU',
    'test_error': 'test error',
  },
  'learning rate': {'learning_rate': 'learning rate'},
}


def training_curves(
  records: Sequence[Mapping[str, Any]], path: str | os.PathLike[str], caption: str
) -> None:
  """Writes loss, test metric and learning rate over epochs, a panel for each.

  A panel without data is left out. The loss is on a logarithmic axis where its values
  are positive and their largest is more than 30 times their smallest.

  Args:
    records: the objects of `metrics.jsonl`; reads `step`, `epoch`, `train_loss`,
      `test_loss`, `test_accuracy`, `test_miou`, `test_error` and `learning_rate`, each
      where present and not null. Of values of the same step, as a resumed run leaves
      them, the last counts; a record without an epoch has no place here.
    path: the PNG to write.
    caption: what stands under the figure.

  Raises:
    OSError: the file cannot be written.
  """
  page.save(draw(records, caption), path)


@style.applied()
def draw(records: Sequence[Mapping[str, Any]], caption: str) -> Figure:
  """The figure that `training_curves` writes."""
  courses = {
    name: {key: _course(records, key) for key in keys} for name, keys in PANELS.items()
  }
  names = [name for name, course in courses.items() if any(course.values())]
  if not names:
    return page.note('no measurement of training', caption)
  figure = page.new(0.75 * page.WIDTH, layout='constrained')
  panels = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0].tolist()
  for axes, name in zip(panels, names, strict=True):
    _draw_panel(axes, name, courses[name])
  every_course = [c for course in courses.values() for c in course.values()]
  style.epoch_axis(
    panels[-1], [epoch for course in every_course for epoch, _ in course]
  )
  figure.align_ylabels()
  return page.finish(figure, panels, 1.2, caption)


def _course(
  records: Sequence[Mapping[str, Any]], key: str
) -> list[tuple[float, float]]:
  """The (epoch, value) pairs of a key, in the order of their steps."""
  by_step = {
    record['step']: (record['epoch'], record[key])
    for record in records
    if record.get(key) is not None and record.get('epoch') is not None
  }
  return [by_step[step] for step in sorted(by_step)]


def _draw_panel(
  axes: Axes, name: str, courses: Mapping[str, list[tuple[float, float]]]
) -> None:
  drawn = {key: course for key, course in courses.items() if course}
  for (key, course), color in zip(drawn.items(), style.PALETTE, strict=False):
    epochs, values = zip(*course, strict=True)
    label = PANELS[name][key]
    style.line(axes, epochs, values, color=color, linewidth=1.0, label=label)
  if len(drawn) > 1:
    axes.set_ylabel(name)
    # Above the panel, where it cannot hide a line.
    axes.legend(
      loc='lower right', bbox_to_anchor=(1, 1), borderaxespad=0.2, ncols=len(drawn)
    )
  else:
    axes.set_ylabel(label)
  axes.grid(axis='y')
  if name == 'loss':
    style.cost_scale(axes, [value for course in drawn.values() for _, value in course])
  axes.yaxis.set_major_formatter(StrMethodFormatter('{x:g}'))
