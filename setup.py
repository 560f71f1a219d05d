"""Packaging of symjax; tool settings live in pyproject.toml."""

import setuptools

PYCOCOTOOLS = 'pycocotools>=2.0.8'  # Draws the masks of coco_voc.
PREPARE = [
  PYCOCOTOOLS,
  'tensorflow-cpu>=2.19; sys_platform == "linux"',
  'tensorflow>=2.19; sys_platform != "linux"',
]

setuptools.setup(
  name='symjax',
  version='0.1.0',
  description='Symmetry in convolutional networks: measured, broken, trained under.',
  python_requires='>=3.11',
  # `run`, `configs` and `tests` stay in the repository: their names are too
  # common for site-packages.
  packages=setuptools.find_packages(include=['symjax', 'symjax.*']),
  package_data={
    'symjax': ['py.typed'],
    'symjax.experiments.trends': ['*.json'],
    'symjax.nn.conv': ['*.json'],
  },
  install_requires=[
    'absl-py>=2.1',
    'array-record>=0.6',
    'flax>=0.12,<0.13',
    'grain>=0.2.15',
    'h5py>=3.12',
    'importlib-resources>=6',  # TFDS imports it without declaring it.
    'jax>=0.10',
    'matplotlib>=3.9',
    'ml-collections>=1.0',
    'numpy>=2.0',
    'optax>=0.2.5',
    'orbax-checkpoint>=0.11.25',
    'pillow>=10.1',
    'psutil>=6',
    'requests>=2.32',
    'scipy>=1.13',
    'tensorboardX>=2.6.2',
    'tensorflow-datasets>=4.9.9',
    'tqdm>=4.66',
  ],
  extras_require={
    'prepare': PREPARE,
    'test': [
      'hypothesis>=6.100',
      'mypy>=1.15',
      PYCOCOTOOLS,
      'pymanopt>=2.2',
      'pytest>=8.3',
      'pytest-xdist>=3.6',
      'ruff>=0.12',
    ],
    'cuda': ['jax[cuda12]>=0.10'],
    'tpu': ['jax[tpu]>=0.10'],
    'tpu-compile': ['libtpu'],
  },
)
