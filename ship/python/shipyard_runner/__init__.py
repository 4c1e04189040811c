"""The session runner's parts. Python >= 3.9, standard library only; runs with the session's own rights."""
