"""The model card beside an exported trunk, as JSON and as Markdown."""

import json

import numpy as np

from selfsup import versions

JSON_NAME = "model_card.json"
MARKDOWN_NAME = "MODEL_CARD.md"

_PACKAGES = ("selfsup", "tensorflow")

_LOADING = """\
## How to load it

With TensorFlow alone, frozen or fine-tuned, as a layer of a Keras model:

```python
import tensorflow_hub as hub

layer = hub.KerasLayer("DIRECTORY", trainable=True)
features = layer(images)  # float32 [B, H, W, 3] in [0, 1] -> {shape}
```

With this package, as a Keras model at output stride 8, 16 or 32:

```python
from selfsup import export

trunk = export.load_trunk("DIRECTORY", output_stride=16)
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
    made_with = {**versions.of(_PACKAGES), **card.get("versions", {})}
    full = {**card, "network": network, "versions": made_with}
    return json.loads(json.dumps(full, default=lambda value: value.tolist()))


def render(card):
    """The completed card as Markdown."""
    network = card["network"]
    stride, channels = network["output_stride"], network["channels"]
    lines = ["# Model card: a jointly pretrained trunk", ""]
    for key, value in card.items():
        lines += [f"## {_title(key)}", "", *_bullets(value), ""]
    shape = f"[B, ceil(H / {stride}), ceil(W / {stride}), {channels}]"
    return "\n".join(lines) + "\n" + _LOADING.format(shape=shape)


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
