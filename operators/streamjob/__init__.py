"""The operator of ``StreamJob``: observe, validate, plan, apply."""
