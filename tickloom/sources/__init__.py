"""Where prices come from: one file per source, each yields ticks or bars and nothing else."""
