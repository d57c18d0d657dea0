"""The StreamJob model and the Spark application that it becomes.

``job`` and ``ownership`` import neither Spark nor numpy, so that the Kubernetes operator can use them.
"""
