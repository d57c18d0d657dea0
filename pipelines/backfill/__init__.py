"""The pipeline that makes features anew after their definition has changed."""
