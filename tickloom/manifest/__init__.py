"""What every YAML file that a person writes has: frozen models, durations, and mistakes said in words."""
