"""The pipeline that retrains: from bars to registered challengers."""
