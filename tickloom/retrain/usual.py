"""What a retraining takes where nothing else is said."""

MODELS = ("lstm", "ridge")
HORIZON = 5
"""Sessions ahead."""
FOLDS, TEST = 4, 125
"""Of the walk-forward: a model is fitted anew for each half year of cutoffs, two years in all."""
GATE = 60
"""Last sessions, held back from learning and tuning."""
LEAST = 750
"""Sessions that a ticker must have."""
PATIENCE = 5
"""Epochs without a lower validation loss after which a network's training ends, in place of its authors' 15."""
