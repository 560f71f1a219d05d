"""Small sets of images and label maps, laid out as the real ones are."""

import io
import json
import pathlib
import zipfile

import numpy as np
from PIL import Image

CAMVID = {'train': 4, 'val': 2, 'test': 3}
VOC_SIZES = [(20, 30), (30, 20), (12, 12)]  # Heights and widths.
COCO_SIZE = (40, 50)


def encoded(pixels, form='PNG', palette=False):
  image = Image.fromarray(pixels)
  if palette:
    image = Image.fromarray(pixels, 'L').convert('P')
    image.putdata(pixels.ravel().tolist())
    image.putpalette(np.random.default_rng(0).integers(256, size=768).tolist())
  content = io.BytesIO()
  image.save(content, form)
  return content.getvalue()


def write(path, content):
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_bytes(content)


def labels_of(index, size=(12, 16)):
  """Label `index` above, 10 at the left, and 11, to be ignored, in the last column."""
  labels = np.full(size, index, np.uint8)
  labels[:, : size[1] // 2] = 10
  labels[:, -1] = 11
  return labels


def camvid(folder: pathlib.Path, prefix=''):
  """As the tutorial's; image i of a split has red i, and labels `labels_of(i)`."""
  for split, count in CAMVID.items():
    lines = []
    for i in range(count):
      name = f'{split}/{i:04}.png', f'{split}annot/{i:04}.png'
      image = np.full((12, 16, 3), (i, 7, 9), np.uint8)
      write(folder / name[0], encoded(image))
      write(folder / name[1], encoded(labels_of(i)))
      lines.append(' '.join(prefix + part for part in name))
    (folder / f'{split}.txt').write_text('\n'.join(lines) + '\n')
  return folder


def voc_labels(index):
  labels = np.full(VOC_SIZES[index], index + 1, np.uint8)
  labels[0] = 255
  labels[-1] = 20
  return labels


def voc(folder: pathlib.Path):
  """Three images to train on and the first of them to validate, of three sizes."""
  root = folder / 'VOCdevkit' / 'VOC2012'
  for i, size in enumerate(VOC_SIZES):
    grey = np.full((*size, 3), 40 * i + 40, np.uint8)
    write(root / 'JPEGImages' / f'2007_{i}.jpg', encoded(grey, 'JPEG'))
    map_path = root / 'SegmentationClass' / f'2007_{i}.png'
    write(map_path, encoded(voc_labels(i), palette=True))
  lists = root / 'ImageSets' / 'Segmentation'
  write(lists / 'train.txt', b'2007_0\n2007_1\n2007_2\n')
  write(lists / 'val.txt', b'2007_0\n')
  return folder


def rectangle(top, left, bottom, right):
  return [left, top, right, top, right, bottom, left, bottom]


def instance(image, category, segmentation, area, iscrowd=0):
  return {
    'image_id': image,
    'category_id': category,
    'segmentation': segmentation,
    'area': area,
    'iscrowd': iscrowd,
  }


# Image 3: a person (1) in two pieces; a dog (18) over one of them, and a kite (38),
# which is no VOC class. Image 5: just too little of a bus (6). Image 4: a kite.
COCO_TRAIN = [
  instance(3, 1, [rectangle(0, 0, 10, 10), rectangle(20, 0, 30, 10)], 200),
  instance(3, 18, [rectangle(5, 5, 40, 30)], 801),
  instance(3, 38, [rectangle(0, 0, 40, 50)], 2000),
  instance(5, 6, [rectangle(0, 0, 20, 50)], 1000),
  instance(4, 38, [rectangle(0, 0, 40, 50)], 2000),
]
# Column by column: 35 rows of nothing, then 5 of a crowd, in the first two columns.
CROWD = {'counts': [35, 5, 35, 5, 40 * 48], 'size': [40, 50]}
COCO_VALIDATION = [instance(8, 1, CROWD, 10, iscrowd=1)]


def coco(folder: pathlib.Path, train=COCO_TRAIN):
  """Three training images, of which one is kept, and two to validate."""
  height, width = COCO_SIZE
  for split, ids, instances in (
    ('train', (5, 3, 4), train),
    ('val', (8, 7), COCO_VALIDATION),
  ):
    images = [
      {'id': i, 'file_name': f'{i:012}.jpg', 'height': height, 'width': width}
      for i in ids
    ]
    for image in images:
      grey = np.full((height, width, 3), 20 * image['id'], np.uint8)
      path = folder / f'{split}2017' / image['file_name']
      write(path, encoded(grey, 'JPEG'))
    record = {'images': images, 'annotations': instances}
    path = folder / 'annotations' / f'instances_{split}2017.json'
    write(path, json.dumps(record).encode())
  return folder


def zipped(folder: pathlib.Path, archives, target: pathlib.Path):
  """Packs the folders of `archives`, name of a zip file -> folder, into `target`."""
  for name, part in archives.items():
    with zipfile.ZipFile(target / name, 'w') as archive:
      for path in sorted((folder / part).rglob('*')):
        archive.write(path, path.relative_to(folder))
