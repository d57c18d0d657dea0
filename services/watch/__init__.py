"""Looks at the models of StreamJobs with a policy after each close, and writes their facts for the operator."""
