"""Stages and checks from other installed packages: the entry-point groups `adapt.stages` and `adapt.checks`.

A package registers a stage in its pyproject.toml; the name is the word in recipes, on the command line and in `adapt.<name>`:

    [project.entry-points."adapt.stages"]
    uppercase = "my_package:Uppercase"      # a subclass of adapt.stages.Stage

    [project.entry-points."adapt.checks"]
    shouting = "my_package:Shouting"        # a subclass of adapt.checks.Check

Names are read from the packages' metadata; a package is imported when its stage or check is used.
"""

from __future__ import annotations

import logging
import re
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points

from adapt.errors import UserError

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@lru_cache
def registered(group: str, built_in: tuple[str, ...]) -> dict[str, EntryPoint]:
    """{name: entry point} of one group; a name that can't be used is left out, and logged as a warning with its package."""
    found: dict[str, EntryPoint] = {}
    for entry in sorted(entry_points(group=group), key=lambda entry: (entry.name, package_of(entry))):
        problem = ""
        if not NAME.fullmatch(entry.name):
            problem = "a name is lower-case words joined by '-'"
        elif entry.name in built_in:
            problem = f"{group.partition('.')[2]} of that name come with adapt"
        elif entry.name in found and found[entry.name].value != entry.value:
            problem = f"package {package_of(found[entry.name])} has one of that name, too"
        if problem:
            logging.getLogger("adapt.plugins").warning(
                "package %s: %s '%s' is ignored: %s", package_of(entry), group, entry.name, problem
            )
        else:
            found.setdefault(entry.name, entry)
    return found


def package_of(entry: EntryPoint) -> str:
    """The name and version of the package that registers an entry point."""
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "(unknown)"


def load(entry: EntryPoint) -> object:
    """What an entry point refers to; raises UserError with the package's name where it can't be imported."""
    try:
        return entry.load()
    except Exception as error:  # a package's import can raise anything
        raise UserError(refusal(entry, f"can't be imported ({type(error).__name__}: {error})")) from error


def refusal(entry: EntryPoint, problem: str) -> str:
    """A message about a plug-in that names its package and what to do."""
    kind = {"adapt.stages": "stage", "adapt.checks": "check"}.get(entry.group, entry.group)
    return f"{kind} '{entry.name}' of package {package_of(entry)} ({entry.value}): {problem}; update or uninstall the package"
