"""Steps of timm's resnetv2_101 at output stride 8, cut after stage 3.

  python -m tests.benchmarks.peers.timm_trunk --batch=8 --size=96 --training

Needs PyTorch and timm. `alternation.OtherProcess` starts it.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import types
from typing import Any

import torch

from tests.benchmarks import alternation


class _AnyClass(type):
    """A class whose attributes are classes, too."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value = _AnyClass(name, (), {})
        setattr(cls, name, value)
        return value


class _EmptyModule(types.ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _AnyClass(name, (), {})


class _WithoutTorchvision(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports empty modules as torchvision, which may not be built for this PyTorch.

    timm imports it for photos and for layers of networks that are not measured here.
    """

    def find_spec(
        self, name: str, path: object = None, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name.partition(".")[0] != "torchvision":
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return _EmptyModule(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        del module


def main() -> None:
    """Builds the network and takes the steps that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--training", action="store_true")
    flags = parser.parse_args()
    sys.meta_path.append(_WithoutTorchvision())
    import timm

    with contextlib.redirect_stdout(sys.stderr):
        model = timm.create_model("resnetv2_101", output_stride=8, num_classes=0)
    # Up to the last unit of stage 3, as the trunk: without stage 4 and the last norm.
    del model.stages[3]
    model.norm = torch.nn.Identity()
    model = model.to(memory_format=torch.channels_last)
    images = torch.rand(flags.batch, 3, flags.size, flags.size)
    images = images.to(memory_format=torch.channels_last)
    model.train(flags.training)

    def train() -> float:
        model.zero_grad(set_to_none=True)
        loss = model.forward_features(2.0 * images - 1.0).square().mean()
        loss.backward()
        return float(loss.detach())

    @torch.inference_mode()
    def infer() -> float:
        return float(model.forward_features(2.0 * images - 1.0).square().mean())

    step = alternation.InProcess(train if flags.training else infer)
    about = {
        "version": f"timm {timm.__version__}, PyTorch {torch.__version__}",
        "parameters": sum(each.numel() for each in model.parameters()),
    }
    alternation.serve(step, about)


if __name__ == "__main__":
    main()
