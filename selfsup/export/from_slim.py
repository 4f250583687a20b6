"""Exports the network of a TF-Slim checkpoint."""

from __future__ import annotations

import os

from selfsup.export import trunk_export
from selfsup.trunk import slim_checkpoint
from selfsup.trunk.block4 import Block4
from selfsup.trunk.classifier import Classifier
from selfsup.trunk.resnet_v2 import ResNetV2
from selfsup.trunk.trunk import TrunkConfig


def export_checkpoint(
    checkpoint: str, output: str, *, depth: str = "101", output_stride: int = 8
) -> None:
    """Exports trunk, block 4 and, if present, logits of a Slim resnet_v2 checkpoint.

    Args:
      checkpoint: prefix of the checkpoint's files, such as `DIR/resnet_v2_101.ckpt`.
      output: folder of the export, which does not exist or is empty.
      depth: depth of the checkpoint's network, a key of `resnet_v2.DEPTHS`.
      output_stride: that of the exported SavedModel.

    Raises:
      UserError: if `output` has files, or the checkpoint cannot be read or does not
        match the network. In the last case the message names the weights.
    """
    trunk_export.check_output(output)
    classes = slim_checkpoint.checkpoint_classes(checkpoint)
    trunk = ResNetV2(TrunkConfig(depth, output_stride=output_stride))
    block4 = Block4(trunk.config)
    logits = None if classes is None else Classifier(classes, block4.channels)
    slim_checkpoint.import_checkpoint(checkpoint, trunk, block4, logits)
    card = {
        "source": {
            "checkpoint": os.path.basename(checkpoint),
            "trained_by": "TF-Slim, on labels",
            "classes": classes or "no logits in the checkpoint",
        }
    }
    trunk_export.save(output, trunk, block4=block4, logits=logits, card=card)
