"""The symmetry profile of one or more networks, as in document A's Figs. 2-4 and 9."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.path import Path
from matplotlib.transforms import ScaledTranslation

from symjax.figures import bars, page, style
from symjax.figures.bars import Bar

# An arrow that points down, centred on the marked point.
ARROW = Path(
  [(0, -1), (-0.7, -0.1), (-0.25, -0.1), (-0.25, 1)]
  + [(0.25, 1), (0.25, -0.1), (0.7, -0.1), (0, -1)]
)


def symmetry_profile(
  profiles: Mapping[str, Mapping[str, Any]],
  path: str | os.PathLike[str],
  caption: str,
  downsampling: Mapping[str, str] | None = None,
) -> None:
  """Writes a bar chart of the symmetry score of every layer's mean kernel.

  Behind each bar is the band of random kernels of that size, on it the scores of the
  layer's single kernels (both mean and standard deviation). A dashed line is the mean
  over layers; a null score is a gap marked 'n/a'; an asterisk marks strided layers.
  Networks with the same layer names share one name per group of bars; otherwise layers
  meet by position, and every bar is named in its network's colour.

  Args:
    profiles: `profile.json` of every network by its label in the legend; reads
      `mean_score` and `layers`, and of each `name`, `stride`, `score`, `random_mean`,
      `random_std`, `individual_mean` and `individual_std`.
    path: the PNG to write.
    caption: what stands under the figure.
    downsampling: 'at' or 'near' for the layers, by name, that downsample or are next
      to one that does; they get an arrow. Layers without a score may be among them.

  Raises:
    KeyError: a key is missing from a profile, or a mark is neither 'at' nor 'near'.
    OSError: the file cannot be written.
  """
  page.save(draw(profiles, caption, downsampling), path)


@style.applied()
def draw(
  profiles: Mapping[str, Mapping[str, Any]],
  caption: str,
  downsampling: Mapping[str, str] | None = None,
) -> Figure:
  """The figure that `symmetry_profile` writes."""
  if not any(profile['layers'] for profile in profiles.values()):
    return page.note('no kernel larger than 1x1', caption)
  networks = bars.place([profile['layers'] for profile in profiles.values()])
  every_bar = [bar for network in networks for bar in network]
  names = [[bar.layer['name'] for bar in network] for network in networks]
  shared = all(other == names[0] for other in names)
  groups = list(zip(*networks, strict=True)) if shared else [(b,) for b in every_bar]
  figure = _page(networks, shared)
  axes = figure.subplots()
  handles = _draw_networks(axes, profiles, networks, every_bar)
  _name(figure, axes, groups, shared)
  handles |= _draw_marks(axes, groups, downsampling or {})
  page.legend_above(figure, handles)
  return page.finish(figure, [axes], 2.2, caption)


def _page(networks: Sequence[Sequence[Bar]], shared: bool) -> Figure:
  """A page wide enough for the names along x, and for bars that can be seen."""
  count = max(map(len, networks))
  # Every bar has room for a line of text where bars are named or marked 'n/a'.
  written = not shared or any(b.layer['score'] is None for row in networks for b in row)
  crowded = max(0.15, (0.15 if written else 0.075) * len(networks))
  roomy = min(0.45, (page.WIDTH - 0.8) / count)
  width = 0.8 + max(crowded, roomy) * count
  return page.new(max(width, 0.55 * page.WIDTH), layout='constrained')


def _draw_networks(
  axes: Axes,
  profiles: Mapping[str, Mapping[str, Any]],
  networks: Sequence[Sequence[Bar]],
  every_bar: Sequence[Bar],
) -> dict[str, Any]:
  """Draws the bars, their bands and their means; returns legend handles."""
  low = style.score_axis(axes, bars.lower_ends(every_bar))
  axes.set_xlim(-0.6, max(map(len, networks)) - 0.4)
  handles: dict[str, Any] = {}
  for (label, profile), network in zip(profiles.items(), networks, strict=True):
    mean = profile['mean_score']
    named = f'{label} (mean {style.number(mean)})'
    handles[named] = bars.draw_scores(axes, network, low)
    if mean is not None:
      color = network[0].color if len(networks) > 1 else 'black'
      axes.axhline(mean, color=color, linestyle='--', linewidth=0.9, zorder=3)
  dashed = Line2D([], [], color='black', linestyle='--', linewidth=0.9)
  return handles | {
    'mean over layers': dashed,
    'individual kernels, mean ± std': bars.draw_individuals(axes, every_bar),
    'random kernels, mean ± std': bars.draw_random_bands(axes, every_bar),
  }


def _name(
  figure: Figure, axes: Axes, groups: Sequence[Sequence[Bar]], shared: bool
) -> None:
  """Names every group of bars on the x axis, upright where names would collide."""
  centers = [np.mean([bar.center for bar in group]) for group in groups]
  labels = [
    group[0].layer['name'] + '*' * any(style.is_strided(bar.layer) for bar in group)
    for group in groups
  ]
  axes.set_xticks(centers, labels)
  ticks = axes.get_xticklabels()
  widest = max(label.get_window_extent().width for label in ticks) / page.DPI
  inches_per_layer = (figure.get_figwidth() - 0.8) / np.ptp(axes.get_xlim())
  room = inches_per_layer * np.diff(np.sort(centers)).min(initial=1.0)
  axes.tick_params(axis='x', length=2, rotation=0 if widest < room - 0.1 else 90)
  strided = any(label.endswith('*') for label in labels)
  note = ' (* strided convolution)' if strided else ''
  if shared:
    axes.set_xlabel(f'layer{note}')
    return
  axes.set_xlabel(f'layers by position, named in the colours of the legend{note}')
  for tick, (bar,) in zip(ticks, groups, strict=True):
    tick.set_color(bar.color)


def _draw_marks(
  axes: Axes, groups: Sequence[Sequence[Bar]], downsampling: Mapping[str, str]
) -> dict[str, Any]:
  """Puts an arrow above the marked layers; returns legend handles."""
  low, high = axes.get_ylim()
  fills = {'at': style.MARK, 'near': 'white'}
  points: dict[str, list[tuple[float, float]]] = {kind: [] for kind in fills}
  for group in groups:
    kind = downsampling.get(group[0].layer['name'])
    if kind is None:
      continue
    # Above what is drawn there; above the 'n/a' where nothing is.
    tops = [bars.upper_end(bar) for bar in group]
    top = min(np.nanmax([*tops, low + 0.15]), high)
    points[kind].append((float(np.mean([bar.center for bar in group])), top))
  # Half the arrow's length and a gap: points, whatever the scale of the axes.
  lift = ScaledTranslation(0, 7 / 72, axes.figure.dpi_scale_trans)
  handles: dict[str, Any] = {}
  for kind, tips in points.items():
    if tips:
      (handles[f'{kind} downsampling'],) = axes.plot(
        *zip(*tips, strict=True),
        transform=axes.transData + lift,
        linestyle='none',
        marker=ARROW,
        markersize=10,
        markerfacecolor=fills[kind],
        markeredgecolor=style.MARK,
        markeredgewidth=0.7,
        clip_on=False,
        zorder=5,
      )
  return handles
