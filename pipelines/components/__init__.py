"""Components: each a step of ``tickloom.retrain`` as a process of its own.

A component's function is compiled with its source alone, so it imports what it needs itself, and its annotations are
those that Kubeflow knows.
"""

from functools import partial

from kfp import dsl

component = partial(dsl.component, base_image="python:3.11", install_kfp_package=False)
"""Decorator; the image is put in its place by `pipelines.placement`, and has all that a step imports."""
