"""Prints the golden value of the test of `ssim` (crates/env/src/verifier/signal/image.rs). Needs scikit-image."""

import numpy as np
from skimage.metrics import structural_similarity

wave = lambda shift: np.array([[(i * 7 + j * 13 + i * j + shift) % 17 / 16 for j in range(10)] for i in range(9)])
print(repr(float(structural_similarity(wave(0), wave(3), data_range=1.0))))
