"""Kubeflow pipelines over the steps of ``tickloom.retrain``: what compiles, runs and submits them."""
