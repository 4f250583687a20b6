"""The model card beside an exported trunk, as JSON and as Markdown."""

import json

import numpy as np

from selfsup.common import versions

JSON_NAME = "model_card.json"
MARKDOWN_NAME = "MODEL_CARD.md"

_PACKAGES = ("selfsup", "tensorflow")

_LOADING = """\
## How to load it

With TensorFlow Hub, frozen or fine-tuned. Block 3 ends in a sum that nothing has
normalised, so a layer that begins with a convolution or a mean wants both lines below:

```python
import tensorflow as tf
import tensorflow_hub as hub
import tf_keras as keras  # From TensorFlow 2.16 on; before: from tensorflow import keras.

layer = hub.KerasLayer("DIRECTORY", trainable=True)
features = layer(images)  # float32 [B, H, W, 3] in [0, 1] -> {shape}
features = tf.nn.relu(keras.layers.BatchNormalization()(features, training=True))
```

`hub.KerasLayer` is a layer of Keras 2, and so must be the layers around it: `tf.keras` is
Keras 3 from TensorFlow 2.16 on, where the package tf-keras has Keras 2.

It takes float32, float16 and bfloat16 in [0, 1], uint8 in 0 to 255, and gray images
[B, H, W, 1] of these, and computes in float32, under a mixed-precision policy too. An
`Input` of uint8 pixels needs `dtype="uint8"`: Keras makes floats of 0 to 255 otherwise.

With TensorFlow alone, with the outputs of all units of block 3. After a run with the
lasso, `loaded.alpha` has each task's row and `loaded.combined(images, row)` uses it:

```python
import tensorflow as tf

loaded = tf.saved_model.load("DIRECTORY")
features = loaded(images, training=False)
units = loaded.unit_outputs(images, training=False)
```

With this package, as a Keras model at output stride 8, 16 or 32:

```python
from selfsup.export import trunk_export

trunk = trunk_export.load_trunk("DIRECTORY", output_stride=16)
features = trunk(images, training=False)
```
"""


def complete(card, parts):
    """Adds to `card` what the network itself says.

    Args:
      card: dict of what the caller knows: tasks, steps, cost, data and so on.
      parts: dict of name -> Keras object of all that is exported, with "trunk".

    Returns:
      dict of JSON types.
    """
    trunk = parts["trunk"]
    network = {
        "architecture": f"ResNet-v2 to block 3, depth {trunk.config.depth}",
        "output_stride": trunk.config.output_stride,
        "channels": trunk.channels,
        "units": trunk.num_units,
        "trainable_parameters": {
            name: sum(int(np.prod(v.shape)) for v in part.trainable_variables)
            for name, part in parts.items()
        },
    }
    made_with = {**versions.installed(_PACKAGES), **card.get("versions", {})}
    full = {**card, "network": network, "versions": made_with}
    return json.loads(json.dumps(full, default=lambda value: value.tolist()))


def render(card):
    """The completed card as Markdown."""
    network = card["network"]
    stride, channels = network["output_stride"], network["channels"]
    lines = ["# Model card: a jointly pretrained trunk", ""]
    for key, value in card.items():
        value = _without_checksums(value)
        lines += [f"## {_title(key)}", "", *_bullets(value), ""]
    shape = f"[B, ceil(H / {stride}), ceil(W / {stride}), {channels}]"
    return "\n".join(lines) + "\n" + _LOADING.format(shape=shape)


def _without_checksums(value):
    """`value` without the shards' checksums, which are for the JSON file."""
    if isinstance(value, list):
        return [_without_checksums(item) for item in value]
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if key != "shards"}
        return {key: _without_checksums(item) for key, item in kept.items()}
    return value


def _title(key):
    text = str(key).replace("_", " ")
    return text[:1].upper() + text[1:]


def _bullets(value, indent=""):
    """Markdown lines: nested dicts and lists of them as nested bullets."""
    if not isinstance(value, (dict, list)):
        return [f"{indent}{_scalar(value)}"]
    pairs = value.items() if isinstance(value, dict) else enumerate(value, start=1)
    lines = []
    for key, item in pairs:
        nested = isinstance(item, dict) or _holds_dicts(item)
        if nested and item:
            lines += [f"{indent}- {key}:", *_bullets(item, indent + "  ")]
        else:
            lines.append(f"{indent}- {key}: {_scalar(item)}")
    return lines


def _holds_dicts(item):
    return isinstance(item, list) and any(isinstance(entry, dict) for entry in item)


def _scalar(value):
    if isinstance(value, list):
        return ", ".join(_scalar(item) for item in value) or "none"
    if isinstance(value, dict):
        return "none"
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    return f"{value:,}" if isinstance(value, int) else str(value)
