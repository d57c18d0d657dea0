"""MLflow's chart, installed."""
