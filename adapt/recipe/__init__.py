"""A recipe: its values (`spec`), where the shipped ones are (`catalog`), and recipes derived from one (`derive`).

`loading.load` makes a `Recipe` from YAML.
"""

from adapt.recipe.catalog import find, shipped, shipped_root
from adapt.recipe.derive import combinations, variants, without
from adapt.recipe.spec import CheckSpec, GateSpec, Recipe, Step

__all__ = [
    "CheckSpec", "GateSpec", "Recipe", "Step", "combinations", "find", "shipped", "shipped_root", "variants", "without",
]  # fmt: skip
