"""The pipeline that judges models and registers none."""
