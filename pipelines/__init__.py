"""Kubeflow pipelines over the steps of ``tickloom.retrain``: components, pipelines, and what compiles, runs and submits them."""
