"""Start from your own files: a recipe, synthetic checks, labelling sheets."""
