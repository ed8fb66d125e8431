"""Before the first run: files set up as a recipe, checks cut from texts alone, a sheet of pairs for a person to score."""
