"""The interface of the layouts in which a world is written."""

from __future__ import annotations

import abc
from typing import ClassVar, NamedTuple

from data_prep.synthetic.options import Options


class Job(NamedTuple):
    """A piece of a layout that a worker process writes.

    Attributes:
      layout: name of the layout.
      key: which piece it is; the layout's `jobs` says what the numbers mean.
      images: number of images in it.
    """

    layout: str
    key: tuple[int, ...]
    images: int


class Layout(abc.ABC):
    """Writes a world as the files of one data set.

    Attributes:
      name: name of the layout, unique.
    """

    name: ClassVar[str]

    @abc.abstractmethod
    def folders(self, options: Options) -> list[str]:
        """Returns the folders that `make` writes into, relative to the world's."""

    @abc.abstractmethod
    def jobs(self, options: Options) -> list[Job]:
        """Returns the jobs that write all images."""

    @abc.abstractmethod
    def make(self, folder: str, options: Options, key: tuple[int, ...]) -> None:
        """Does a job, in any process and order.

        Args:
          folder: the world's folder.
          options: what the world contains.
          key: of the job.
        """

    @abc.abstractmethod
    def finish(self, folder: str, options: Options) -> None:
        """Writes what depends on all jobs, after the last of them."""
