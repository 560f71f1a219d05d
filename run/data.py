"""Which files a config's data set needs, found or not; then prepare and decode it.

python -m run.data --config=configs/svhn_vgg.py [--data_dir=DIR] [--manual_dir=DIR]
"""

from run import command
from symjax import data
from symjax.experiments.data import load_splits

command.define_config()
command.define_data()


def main() -> None:
  """Reports, then makes the set ready for training."""
  group, places = command.config()['data'], command.data_folders()
  for line in data.requirement_lines(group['name'], *places):
    print(line)
  for role, split in load_splits(group, *places)._asdict().items():
    images = 'x'.join(map(str, (len(split), *split.image_shape)))
    ready = 'ready' if isinstance(split, data.Dataset) else 'to be streamed'
    print(f'{role}: {images} images, {split.num_classes} classes, {ready}')


if __name__ == '__main__':
  command.run(main)
