"""The processes of one run: all of them compute, the leader writes. Alone, a process leads and never waits."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Crew:
    """This process among `size` that carry out a run together."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes the files and speaks."""
        return self.rank == 0

    def wait(self) -> None:
        """Return when every process of the run has come here."""
        if self.size > 1:
            from adapt.runtime import collectives

            collectives.wait()


ALONE = Crew()


def started() -> bool:
    """Whether torchrun started this process, as one of several or of one."""
    return "WORLD_SIZE" in os.environ


def of_this_process() -> Crew:
    """The crew that torchrun's environment describes; joins it the first time."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size > 1:
        from adapt.runtime import collectives

        collectives.join()
    return Crew(int(os.environ.get("RANK", "0")), size)
