"""The kinds of checks: one file is one kind, and its name is the one in YAML and on the command line."""
