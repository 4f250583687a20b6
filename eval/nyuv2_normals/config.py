"""Hyperparameters of surface normals; docs/hyperparameters.md has their sources."""

from __future__ import annotations

import dataclasses

from eval.nyuv2_depth import config as depth
from eval.nyuv2_normals.plane_fit import Camera, PlaneFit
from eval.settings import Preset


@dataclasses.dataclass(frozen=True)
class Config(depth.DenseConfig):
    """Hyperparameters; the defaults are those of depth prediction, or the Kinect's.

    Attributes:
      focal_x, focal_y: focal lengths of the camera as shares of the photo's width and
        height.
      centre_x, centre_y: principal point as shares of the photo's width and height.
      fit_window: side of the square window in which a plane is fitted, as a share of the
        width of the depth map.
      fit_known: smallest share of the window's pixels whose depth has to be known.
      fit_error: largest root mean squared residual of a fit, as a share of the depth.
    """

    focal_x: float = 0.8107
    focal_y: float = 1.0822
    centre_x: float = 0.5087
    centre_y: float = 0.5286
    fit_window: float = 0.03
    fit_known: float = 0.5
    fit_error: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("focal_x", "focal_y", "fit_error"):
            self.require_positive(name)
        for name in ("centre_x", "centre_y"):
            self.require_range(name, 0, 1)
        self.require(
            "fit_window", 0 < self.fit_window <= 0.25, "more than 0, up to 0.25"
        )
        # With fewer pixels, the window could be a line, in which no plane can be fitted.
        self.require_range("fit_known", 0.5, 1)

    @property
    def camera(self) -> Camera:
        """The camera that took the photos."""
        return Camera(self.focal_x, self.focal_y, self.centre_x, self.centre_y)

    @property
    def plane_fit(self) -> PlaneFit:
        """How planes are fitted."""
        return PlaneFit(self.fit_window, self.fit_known, self.fit_error)


PRESETS = {
    name: Preset(preset.description, preset.depth, preset.config)
    for name, preset in depth.PRESETS.items()
}
