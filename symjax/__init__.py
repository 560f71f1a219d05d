"""symjax: symmetry in convolutional networks, measured and trained under."""
