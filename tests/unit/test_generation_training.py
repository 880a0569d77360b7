"""Generators in training: their losses by other means, and that they learn what can be learnt."""
