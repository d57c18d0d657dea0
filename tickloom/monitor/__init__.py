"""Data quality and drift: what changed in prices, features and losses, and whether a model is to be trained again."""
