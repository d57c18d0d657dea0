"""Forecasts of daily returns: features known at the time, models beside their baselines, and what is true of them."""
