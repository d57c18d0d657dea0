"""Which model answers whom, what each one forecast, and which of them is better by evidence."""
