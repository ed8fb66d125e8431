"""A thousand recipes and overrides that nobody meant: each is loaded, or refused with sentences for its user."""

import random

from adapt.errors import UserError
from adapt.recipe import Recipe, loading, shipped

from .mutations import attack


def test_whatever_a_recipe_holds_it_loads_or_is_refused_in_words(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text, rng, loaded, refused = shipped()["smoke"].read_text(encoding="utf-8"), random.Random(14), 0, 0
    for _ in range(1_000):
        data, overrides = attack(text, rng)
        (tmp_path / "r.yaml").write_bytes(data)
        try:
            found = loading.load("r.yaml", overrides)
        except UserError as error:
            refused += 1
            assert error.problems and all(isinstance(problem, str) and len(problem) < 2_000 for problem in error.problems)
        else:
            loaded += 1
            assert isinstance(found, Recipe) and (tmp_path / found.name).resolve().parent == tmp_path.resolve()
            assert all(0 < len(step.id) <= 64 and "/" not in step.id and not step.id.startswith(".") for step in found.steps)
    assert loaded > 20 and refused > 400
