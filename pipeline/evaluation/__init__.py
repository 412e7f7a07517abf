"""Scores beside baselines, and evidence for the gate."""
