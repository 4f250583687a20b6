"""The model card of an exported trunk, as JSON and as Markdown."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from selfsup.common import versions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Union

    from selfsup.keras import keras

    # A value of a JSON file.
    Json = Union[None, bool, int, float, str, "list[Json]", "dict[str, Json]"]

JSON_NAME = "model_card.json"
MARKDOWN_NAME = "MODEL_CARD.md"

_PACKAGES = ("selfsup", "tensorflow")

_LOADING = """\
## How to load the trunk

With TensorFlow Hub, frozen or fine-tuned. The last unit of a ResNet is a sum that is not
normalised. If the next layer is a convolution or a mean, normalise and rectify the
features first, as in the last line:

```python
import tensorflow as tf
import tensorflow_hub as hub
import tf_keras as keras  # From TensorFlow 2.16 on; before: from tensorflow import keras.

layer = hub.KerasLayer("DIRECTORY", trainable=True)
features = layer(images)  # float32 [B, H, W, 3] in [0, 1] -> {shape}
features = tf.nn.relu(keras.layers.BatchNormalization()(features, training=True))
```

`hub.KerasLayer` is a layer of Keras 2, and the layers around it must be of Keras 2, too.
From TensorFlow 2.16 on, `tf.keras` is Keras 3, and the package tf-keras has Keras 2.

The layer accepts float32, float16 and bfloat16 in [0, 1], uint8 in [0, 255], and gray
images [B, H, W, 1] of these types. It computes in float32, also under a mixed-precision
policy. An `Input` of uint8 pixels needs `dtype="uint8"`: otherwise Keras casts the pixels
to floats in [0, 255].

With TensorFlow only, with the outputs of all units. After a run with the
lasso, `loaded.alpha` has the row of each task, and `loaded.combined(images, row)`
combines the units with it. Where the card lists heads, `loaded.heads["TASK"]` computes
the outputs of the task from features at the stride that is listed:

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


def complete(
    card: Mapping[str, Any], parts: Mapping[str, keras.layers.Layer]
) -> dict[str, Any]:
    """Adds facts about the network and the installed versions to a card.

    Args:
      card: facts that the caller knows: tasks, steps, cost, data and so on. Values are
        JSON types or NumPy arrays and scalars.
      parts: the exported Keras models and heads by name, with "trunk".

    Returns:
      JSON object.
    """
    trunk = parts["trunk"]
    network = {
        "architecture": f"{trunk.title}, depth {trunk.config.depth}",
        "output_stride": trunk.config.output_stride,
        "channels": trunk.channels,
        "units": trunk.num_units,
        "trainable_parameters": {
            name: sum(int(np.prod(v.shape)) for v in part.trainable_variables)
            for name, part in parts.items()
        },
    }
    packages = {**versions.installed(_PACKAGES), **card.get("versions", {})}
    full = {**card, "network": network, "versions": packages}
    # `tolist` of NumPy arrays and scalars returns JSON types.
    completed: dict[str, Any] = json.loads(
        json.dumps(full, default=lambda value: value.tolist())
    )
    return completed


def render(card: Mapping[str, Any]) -> str:
    """Returns the result of `complete` as Markdown."""
    network = card["network"]
    stride, channels = network["output_stride"], network["channels"]
    lines = ["# Model card: a jointly pretrained trunk", ""]
    for key, value in card.items():
        value = _without_checksums(value)
        lines += [f"## {_title(key)}", "", *_bullets(value), ""]
    shape = f"[B, ceil(H / {stride}), ceil(W / {stride}), {channels}]"
    return "\n".join(lines) + "\n" + _LOADING.format(shape=shape)


def _without_checksums(value: Json) -> Json:
    """`value` without the checksums of shards, which only the JSON file has."""
    if isinstance(value, list):
        return [_without_checksums(item) for item in value]
    if isinstance(value, dict):
        return {
            key: _without_checksums(item)
            for key, item in value.items()
            if key != "shards"
        }
    return value


def _title(key: str) -> str:
    """A key as a title: "cost_clock" -> "Cost clock"."""
    text = key.replace("_", " ")
    return text[:1].upper() + text[1:]


def _bullets(value: Json, indent: str = "") -> list[str]:
    """Markdown lines with a bullet per entry; dicts, and lists of them, are nested."""
    if not isinstance(value, (dict, list)):
        return [f"{indent}{_scalar(value)}"]
    entries = value.items() if isinstance(value, dict) else enumerate(value, start=1)
    lines = []
    for key, item in entries:
        nested = isinstance(item, dict) or _has_dicts(item)
        if nested and item:
            lines += [f"{indent}- {key}:", *_bullets(item, indent + "  ")]
        else:
            lines.append(f"{indent}- {key}: {_scalar(item)}")
    return lines


def _has_dicts(item: Json) -> bool:
    """Whether `item` is a list with a dict in it."""
    return isinstance(item, list) and any(isinstance(entry, dict) for entry in item)


def _scalar(value: Json) -> str:
    """A value on a single line: numbers with separators, lists with commas."""
    if isinstance(value, list):
        return ", ".join(_scalar(item) for item in value) or "none"
    if isinstance(value, dict) or value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)
