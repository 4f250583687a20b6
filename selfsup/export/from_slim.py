"""From a TF-Slim checkpoint to an export."""

import os

from selfsup.export import trunk_export
from selfsup.trunk import slim_checkpoint
from selfsup.trunk.block4 import Block4, Classifier
from selfsup.trunk.resnet_v2 import Trunk, TrunkConfig


def export_checkpoint(checkpoint, output, *, depth="101", output_stride=8):
    """Exports a Slim checkpoint's trunk, block 4 and, where it has them, logits.

    Arguments as `launch.import_slim`'s flags.

    Raises:
      UserError: names the weights that are missing or match nothing.
    """
    trunk_export.check_free(output)
    classes = slim_checkpoint.checkpoint_classes(checkpoint)
    trunk = Trunk(TrunkConfig(depth, output_stride=output_stride))
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
