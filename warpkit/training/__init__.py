"""A small training loop for classifiers of distorted digits, and pictures of what their transformers do."""

from warpkit.training.classifier import Progress, distorted_test, error_rate, train
from warpkit.training.demo import digit_classifiers

__all__ = ["Progress", "digit_classifiers", "distorted_test", "error_rate", "train"]
