"""Configurations that were tried: experiments, tuning, and the adoption of what was found."""
