"""What a finished run says on the terminal."""

import os

from eval import metrics_file
from eval.imagenet_linear.testing import TOP


def is_finished(folder):
    """Whether the run in `folder` has come to its end."""
    return os.path.exists(os.path.join(folder, metrics_file.FILE_NAME))


def print_metrics(folder):
    """Prints the metrics of a finished run with their chance levels."""
    fields = metrics_file.read(folder)
    chance, classes = fields["details"]["chance"], fields["data"]["classes"]
    for name, value in fields["metrics"].items():
        kind = name.split("_")[-1]
        note = f" (chance {chance[kind]:.4f})" if kind in chance else ""
        print(f"{name}: {value:.4f}{note}")
    if classes <= TOP:
        print(f"top5 says nothing here: there are {classes} classes")
    print(f"done: {folder}")
