"""Exports of weights in the format of `keras.applications`."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import numpy as np
import pytest

from selfsup.common.errors import UserError
from selfsup.export import from_keras, trunk_export
from selfsup.keras import keras
from selfsup.trunk.trunk import TrunkConfig
from selfsup.trunk.vgg import DEPTHS, Vgg

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A network of Keras with the layers of a tiny VGG: (path of its weights, model)."""
    names = list(Vgg(TrunkConfig(kind="vgg", depth="tiny")).keras_layers())
    widths = np.repeat(DEPTHS["tiny"].channels, DEPTHS["tiny"].convs)
    net = inputs = keras.Input([None, None, 3])
    for name, width in zip(names, widths):
        net = keras.layers.Conv2D(int(width), 3, padding="same", name=name)(net)
    model = keras.Model(inputs, net)
    path = tmp_path_factory.mktemp("weights") / "vgg.h5"
    model.save_weights(path)
    return str(path), model


def test_an_export_has_the_weights_of_the_file(weights, tmp_path):
    path, model = weights
    output = str(tmp_path / "out")
    from_keras.export_weights(path, output, kind="vgg", depth="tiny", output_stride=16)
    trunk = trunk_export.load_trunk(output)
    assert trunk.config == TrunkConfig(kind="vgg", depth="tiny", output_stride=16)
    assert trunk_export.part_names(output) == ("trunk",)
    for conv in trunk.convs[1:]:
        np.testing.assert_array_equal(
            conv.kernel, model.get_layer(conv.name).kernel.numpy()
        )
    assert trunk_export.load_card(output)["source"]["weights"] == "vgg.h5"


def test_weights_of_another_network_leave_no_export(weights, tmp_path):
    output = tmp_path / "out"
    with pytest.raises(UserError, match="no weights of 6 layers"):
        from_keras.export_weights(weights[0], str(output), kind="vgg")
    with pytest.raises(UserError, match="resnet_v2 have no counterpart"):
        from_keras.export_weights(weights[0], str(output), kind="resnet_v2")
    assert not output.exists()


def test_the_command_names_what_is_wrong(tmp_path):
    arguments = [
        "--kind=vgg",
        f"--weights={tmp_path}/no.h5",
        f"--output={tmp_path}/out",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "launch.import_keras", *arguments, "--depth=18"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "error: --depth=18: expected one of 16, 19, tiny" in done.stderr
    assert "Traceback" not in done.stderr
