"""The processes of one run, launched by torchrun: all of them compute, the main process writes files and prints."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class ProcessGroup:
    """This process's `rank` (0 to `world_size` - 1) in its group; the default is a group of one."""

    rank: int = 0
    world_size: int = 1

    @property
    def is_main_process(self) -> bool:
        """Whether this process (rank 0) writes files and prints."""
        return self.rank == 0

    def barrier(self) -> None:
        """Block until every process of the group has reached this call; returns at once in a group of one."""
        if self.world_size > 1:
            from adapt.runtime import collectives

            collectives.barrier()


SINGLE_PROCESS = ProcessGroup()


def launched_by_torchrun() -> bool:
    """Whether torchrun launched this process, alone or as one of several."""
    return "WORLD_SIZE" in os.environ


def current() -> ProcessGroup:
    """The group described by torchrun's environment variables; initialises torch's process group on the first call."""
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    if world_size > 1:
        from adapt.runtime import collectives

        collectives.initialise()
    return ProcessGroup(int(os.environ.get("RANK", "0")), world_size)
