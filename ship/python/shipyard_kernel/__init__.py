"""Shipyard's ipykernel: the same wire protocol with fewer waits, exact output, and nothing dropped.

Every lever stands for itself and is left out where the installed ipykernel does not fit it; `levers` says which are on.
"""
