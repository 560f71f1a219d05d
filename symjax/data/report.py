"""What a data set needs, and what of it is at hand, for a person to read."""

from symjax.data import builders, derived, folders, prepared
from symjax.data.requirements import RequiredFile, required_files


def requirement_lines(
  name: str, data_dir: str | None = None, manual_dir: str | None = None
) -> list[str]:
  """One line for where the set is sought, whether it is prepared, and each file.

  Args:
    name: as TFDS writes it, such as 'svhn_cropped'.
    data_dir: where TFDS keeps its data sets; None is TFDS's own default.
    manual_dir: where files that were downloaded by hand lie.

  Raises:
    UserError: no such set, or a damaged one.
  """
  folder = folders.data_directory(data_dir)
  manual = folders.manual_directory(folder, manual_dir)
  recipe = derived.find(name)
  lines = []
  if recipe:
    lines.append(f'{name} is made from {recipe.source}: {recipe.description}')
    name = recipe.source
  lines.append(
    f'{name}: looked in {folder} and, for files to prepare it from, in {manual}'
  )
  found = prepared.find(name, folder)
  if found is None:
    lines.append('not prepared')
  else:
    splits = ', '.join(
      f'{split} {info.num_examples}' for split, info in found.info.splits.items()
    )
    lines.append(f'prepared: {found.data_path} ({splits})')
    lines.append(' '.join(found.info.description.split()))
  builder = builders.make_builder(name, folder)
  files = required_files(builder, folder, manual_dir)
  if builder.name in builders.OWN and not files:
    return [*lines, 'needs no files: symjax renders it']
  return lines + [_line(file) for file in files]


def _line(file: RequiredFile) -> str:
  if file.sha256 is None:
    if file.path is None:
      return f'missing:  {file.name}, from {file.url}'
    return f'found:    {file.path} (not verified), from {file.url}'
  facts = f'{file.size} bytes, sha256 {file.sha256}'
  if file.path is None:
    return f'missing:  {file.name} ({facts}), from {file.url}'
  return f'{"verified" if file.intact else "corrupt"}: {file.path} ({facts})'
