"""The steps of a retraining, from daily bars to a registered challenger: plain functions over folders and JSON."""
